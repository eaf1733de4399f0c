import { groupId } from '../../contracts/topics.js';
import type { Log, TopicPartition } from '../../stores/log/log.js';
import type { Topology } from './topology.js';

/**
 * Says where a new group starts: at the `start` of its topics, so that history is processed, or at their `end`, so that
 * history only builds the state (it is replayed silently) and nothing of it is answered. Partitions that have an offset
 * keep it. Returns how many were set.
 */
export async function initialiseGroup(log: Log, topology: Topology, at: 'start' | 'end'): Promise<number> {
  const group = groupId(topology.identity);
  let set = 0;
  for (const { topic, start } of topology.sources) {
    // Topics that the platform itself fills are read from their start.
    if (start === 'earliest') continue;
    const ranges = (await log.partitionCount(topic)) === null ? [] : await log.offsets(topic);
    const partitions: TopicPartition[] = ranges.map(({ partition }) => ({ topic, partition }));
    const known = partitions.length === 0 ? [] : await log.committed(group, partitions);
    const missing = known
      .filter(({ offset }) => offset === null)
      .map(({ partition }) => {
        const range = ranges.find((each) => each.partition === partition);
        return { topic, partition, offset: (at === 'start' ? range?.low : range?.high) ?? 0 };
      });
    if (missing.length > 0) await log.commitOffsets(group, missing);
    set += missing.length;
  }
  return set;
}
