import type { Log } from '../../stores/log/log.js';

/** Has a group committed all that there is of these topics? A topic that nobody created yet is to come. */
export async function hasCaughtUp(log: Log, group: string, topics: readonly string[]): Promise<boolean> {
  for (const topic of topics) {
    if ((await log.partitionCount(topic)) === null) return false;
    const ends = await log.offsets(topic);
    const committed = await log.committed(
      group,
      ends.map(({ partition }) => ({ topic, partition })),
    );
    if (ends.some(({ high }, at) => (committed[at]?.offset ?? 0) < high)) return false;
  }
  return true;
}
