import type { TopicPartition } from '../../stores/log/log.js';
import type { StreamTask, Topology } from '../../streams/runtime/topology.js';

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
 * and what was looked at before a snapshot asks for it is given to that one.
 */
function observe(task: StreamTask, partitions: readonly TopicPartition[]): ObservedTask {
  const state = new Map<string, Uint8Array>();
  const lookedAt = new Map<string, Uint8Array | null>();
  const take = (): void => {
    for (const { key, value } of task.snapshot()) {
      const name = Buffer.from(key).toString('hex');
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
      state.set(Buffer.from(key).toString('hex'), Uint8Array.from(value));
      return task.restore(key, value);
    },
  };
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
    return state;
  };
  return { task: proxy, partitions, stateNow };
}
