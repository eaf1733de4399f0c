import { groupId, streamTopic } from '../../contracts/topics.js';
import type { CompiledView } from '../../features/compiledView.js';
import type { Log } from '../../stores/log/log.js';
import type { OnlineStore } from '../../stores/online/onlineStore.js';
import type { Topology } from '../../streams/runtime/topology.js';

/** Records that topologies have not committed yet, in words. */
export async function lagInLog(log: Log, topologies: readonly Topology[]): Promise<string[]> {
  const found: string[] = [];
  for (const { identity, sources } of topologies) {
    const group = groupId(identity);
    for (const { topic } of sources) {
      const ranges = await log.offsets(topic);
      const places = ranges.map(({ partition }) => ({ topic, partition }));
      const committed = await log.committed(group, places);
      for (const [at, { partition, high }] of ranges.entries()) {
        let records = 0;
        // Transaction markers and aborted records are nothing to read.
        for await (const batch of log.read({ topic, partition, from: committed[at]?.offset ?? 0, to: high }))
          records += batch.length;
        if (records > 0) found.push(`${group}: ${records} of ${topic}-${partition}`);
      }
    }
  }
  return found;
}

/** Partitions of views whose committed state the online store does not have yet, in words. */
export async function lagInOnlineStore(
  log: Log,
  store: OnlineStore,
  project: string,
  materialized: readonly { readonly view: CompiledView; readonly topology: Topology }[],
): Promise<string[]> {
  const found: string[] = [];
  for (const { view, topology } of materialized) {
    const topic = streamTopic(project, view.stream.name);
    const identity = { project, name: view.name, hash: view.hash };
    const places = (await log.offsets(topic)).map(({ partition }) => ({ topic, partition }));
    const marks = await store.marks(identity, topology.identity.generation);
    for (const { partition, offset } of await log.committed(groupId(topology.identity), places)) {
      if ((marks.get(partition)?.offset ?? -1) < (offset ?? 0))
        found.push(`${topology.identity.name}: partition ${partition} up to ${offset ?? 0}`);
    }
    if ((await store.serving(identity)) === null) found.push(`${topology.identity.name}: is not served`);
  }
  return found;
}
