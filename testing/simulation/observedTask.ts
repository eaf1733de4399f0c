import type { TopicPartition } from '../../stores/log/log.js';
import type { StreamTask, Topology } from '../../streams/runtime/topology.js';
import { keysBetween, nameOf } from './snapshotShelf.js';

/** After every key that a task uses. */
const LAST_KEY = Uint8Array.of(0xff);

/** A task whose state can be looked at without the runtime noticing. */
export interface ObservedTask {
  readonly task: StreamTask;
  readonly partitions: readonly TopicPartition[];
  readonly stateNow: () => ReadonlyMap<string, Uint8Array>;
}

/** The topology, whose tasks are told of as they are created. */
export function observeTasks(topology: Topology, onTask: (id: string, task: ObservedTask) => void): Topology {
  return Object.assign(Object.create(topology) as Topology, {
    createTask: (id: string, partitions: readonly TopicPartition[]): StreamTask => {
      const observed = observe(topology.createTask(id, partitions), partitions);
      onTask(id, observed);
      return observed.task;
    },
  });
}

/**
 * A task gives each change to one snapshot only. So everything that it gives, or gets back when it is restored, is kept here,
 * and what was looked at before a snapshot asks for it is given to that one. A task that reads its snapshot by key reads
 * what is kept here, which has what was looked at, too.
 */
function observe(task: StreamTask, partitions: readonly TopicPartition[]): ObservedTask {
  const state = new Map<string, Uint8Array>();
  const lookedAt = new Map<string, Uint8Array | null>();
  const take = (): void => {
    for (const { key, value } of task.snapshot()) {
      const name = nameOf(key);
      lookedAt.set(name, value);
      if (value === null) state.delete(name);
      else state.set(name, Uint8Array.from(value));
    }
  };
  const replaced: Partial<StreamTask> = {
    snapshot: () => {
      take();
      const entries = [...lookedAt].map(([key, value]) => ({ key: Buffer.from(key, 'hex'), value }));
      lookedAt.clear();
      return entries;
    },
    restore: (key, value) => {
      const isOurs = task.restore(key, value);
      if (isOurs !== false) state.set(nameOf(key), Uint8Array.from(value));
      return isOurs;
    },
  };
  if (task.attach !== undefined) {
    replaced.attach = (stored) => {
      for (const key of stored.keys(new Uint8Array(0), LAST_KEY)) {
        const value = stored.get(key);
        if (value !== undefined) state.set(nameOf(key), Uint8Array.from(value));
      }
      task.attach?.({ get: (key) => state.get(nameOf(key)), keys: (from, to) => keysBetween(state, from, to) });
    };
  }
  const bound = new Map<PropertyKey, unknown>(Object.entries(replaced));
  const proxy = new Proxy(task, {
    get: (target, name): unknown => {
      const known = bound.get(name);
      if (known !== undefined) return known;
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      const method: unknown = value.bind(target);
      bound.set(name, method);
      return method;
    },
  });
  const stateNow = (): ReadonlyMap<string, Uint8Array> => {
    take();
    task.snapshotWritten?.();
    return state;
  };
  return { task: proxy, partitions, stateNow };
}
