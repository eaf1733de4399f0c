import { join } from 'node:path';
import { topologyPrefix } from '../../../contracts/topics.js';
import type { Value } from '../../../features/types.js';
import type { TopicPartition } from '../../../stores/log/log.js';
import { SnapshotStore } from '../../../streams/runtime/snapshotStore.js';
import { partitionName } from '../../../streams/runtime/taskInputs.js';
import type { StreamTask, Topology } from '../../../streams/runtime/topology.js';
import { MODEL, type StreamCluster } from './streamCluster.js';

/** Entries of a task by name; of the windows of a view one for each key, however they lie in a snapshot. */
type State = Map<string, Uint8Array>;

/** The entry of a view's key in a snapshot: of a task with several views, or of one with one; a hot key has one a chunk. */
const VIEW_ENTRY = /^(?:v[0-9a-f]+:|k)(.*?)(?:@[0-9a-f]{16})?$/s;

/**
 * State is a fold of the log: what each task of a topology left in its snapshot must be, byte for byte, what a silent replay of
 * the log from its start up to the snapshot's offsets gives, but for what windows have not got round to forgetting. Nobody may
 * run the topology.
 */
export async function compareState(
  cluster: StreamCluster,
  topology: Topology,
  find: (text: string) => void,
): Promise<{ readonly tasks: number; readonly entries: number }> {
  const { log, configuration } = cluster;
  const inputs = new Map<string, TopicPartition[]>();
  for (const { topic } of topology.sources) {
    for (const { partition } of await log.offsets(topic)) {
      const id = topology.taskOf({ topic, partition });
      inputs.set(id, [...(inputs.get(id) ?? []), { topic, partition }]);
    }
  }
  let entries = 0;
  for (const [id, partitions] of inputs) {
    const name = `${topology.identity.name} ${id}`;
    const folder = join(configuration.home, 'streams', 'snapshots', topologyPrefix(topology.identity), id);
    const store = await SnapshotStore.open(folder, (reason) => find(`${name}: ${reason}`));
    try {
      await store.restored();
      const offsets = store.header()?.offsets ?? null;
      if (offsets === null) {
        find(`${name} left no snapshot`);
        continue;
      }
      const left = restored(topology.createTask(id, partitions), store, offsets);
      const replayed = await replay(cluster, topology.createTask(id, partitions), partitions, offsets);
      for (const key of new Set([...left.keys(), ...replayed.keys()])) {
        const [ours, theirs] = [left.get(key), replayed.get(key)];
        if (ours === undefined || theirs === undefined || Buffer.compare(ours, theirs) !== 0)
          find(`${name}: ${key} is ${sizeOf(ours)}, a replay of the log has ${sizeOf(theirs)}`);
      }
      entries += left.size;
    } finally {
      await store.close();
    }
  }
  return { tasks: inputs.size, entries };
}

/** The state that a task comes to which starts from the snapshot. */
function restored(task: StreamTask, store: SnapshotStore, offsets: Readonly<Record<string, number>>): State {
  const held: State = new Map();
  for (const { key, value } of store.entries()) {
    held.set(textOf(key), value);
    // What is read by key is not restored.
    if (task.attach === undefined) task.restore(key, value);
  }
  if (task.attach === undefined) task.committed(new Map(Object.entries(offsets)));
  return stateOf(task, held);
}

/** The state that a task comes to which has no snapshot. */
async function replay(
  { log }: StreamCluster,
  task: StreamTask,
  partitions: readonly TopicPartition[],
  offsets: Readonly<Record<string, number>>,
): Promise<State> {
  const low = new Map<string, number>();
  for (const topic of new Set(partitions.map((each) => each.topic)))
    for (const range of await log.offsets(topic)) low.set(partitionName({ topic, ...range }), range.low);
  for (const place of partitions) {
    const to = offsets[partitionName(place)] ?? 0;
    for await (const batch of log.read({ ...place, from: low.get(partitionName(place)) ?? 0, to })) {
      for (const record of batch) {
        try {
          task.fold(task.parse(record), { emit: () => undefined, deadLetter: () => undefined }, true);
        } catch {
          // A dead letter: it changes nothing.
        }
      }
    }
  }
  task.committed(new Map(Object.entries(offsets)));
  const held: State = new Map();
  for (const { key, value } of task.snapshot()) if (value !== null) held.set(textOf(key), value);
  return stateOf(task, held);
}

/** @param held entries of a snapshot of the task. */
function stateOf(task: StreamTask, held: State): State {
  if (task.stateOf === undefined) return held;
  const state: State = new Map();
  for (const [key, value] of held) {
    const entry = VIEW_ENTRY.exec(key);
    if (entry === null) {
      state.set(key, value);
      continue;
    }
    const owner = JSON.parse(entry[1] as string) as Value;
    for (const input of MODEL.service.inputs) {
      const bytes = task.stateOf(input.view.name, owner);
      if (bytes !== null && bytes !== undefined) state.set(`${input.view.name} of ${entry[1]}`, bytes);
    }
  }
  return state;
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('utf8');
}

function sizeOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return 'absent';
  return bytes.length > 120 ? `${bytes.length} bytes` : JSON.stringify(Buffer.from(bytes).toString('latin1'));
}
