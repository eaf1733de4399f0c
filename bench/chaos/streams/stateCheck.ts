import { join } from 'node:path';
import { topologyPrefix } from '../../../contracts/topics.js';
import type { TopicPartition } from '../../../stores/log/log.js';
import { SnapshotStore } from '../../../streams/runtime/snapshotStore.js';
import { partitionName } from '../../../streams/runtime/taskInputs.js';
import type { StreamTask, Topology } from '../../../streams/runtime/topology.js';
import type { StreamCluster } from './streamCluster.js';

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
      const left = new Map<string, Uint8Array>();
      for (const { key, value } of store.entries()) left.set(textOf(key), value);
      for (const { key, value } of forgotten(topology.createTask(id, partitions), store, offsets)) {
        if (value === null) left.delete(textOf(key));
        else left.set(textOf(key), value);
      }
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

/**
 * Windows forget now and then, not at once: what of a snapshot no position can see any more is left out, as a task does that
 * starts from it. Gives the entries that change by that.
 */
function* forgotten(
  task: StreamTask,
  store: SnapshotStore,
  offsets: Readonly<Record<string, number>>,
): ReturnType<StreamTask['snapshot']> {
  // What is read by key is kept as exactly as it is written.
  if (task.attach !== undefined) return;
  for (const { key, value } of store.entries()) task.restore(key, value);
  task.committed(new Map(Object.entries(offsets)));
  yield* task.snapshot();
}

async function replay(
  { log }: StreamCluster,
  task: StreamTask,
  partitions: readonly TopicPartition[],
  offsets: Readonly<Record<string, number>>,
): Promise<ReadonlyMap<string, Uint8Array>> {
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
  const state = new Map<string, Uint8Array>();
  for (const { key, value } of task.snapshot()) if (value !== null) state.set(textOf(key), value);
  return state;
}

function textOf(key: Uint8Array): string {
  return JSON.stringify(Buffer.from(key).toString('latin1'));
}

function sizeOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return 'absent';
  return bytes.length > 120 ? `${bytes.length} bytes` : JSON.stringify(Buffer.from(bytes).toString('latin1'));
}
