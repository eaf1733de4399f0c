import type { Log, LogRecord } from '../stores/log/log.js';

/** Offsets of the first look back; every further one goes twice as far. */
const FIRST_LOOK = 10_000;

/**
 * The newest committed record of a topic that matches, looking back from the ends of all partitions alike: what is new is
 * found at once, what is not there costs a reading of the whole topic.
 *
 * @param partitions default: all.
 */
export async function findNewest(
  log: Log,
  topic: string,
  matches: (record: LogRecord) => boolean,
  partitions?: readonly number[],
): Promise<LogRecord | null> {
  if ((await log.partitionCount(topic)) === null) return null;
  const left = (await log.offsets(topic))
    .filter(({ partition }) => partitions === undefined || partitions.includes(partition))
    .map(({ partition, low, high }) => ({ partition, low, end: high }));
  for (let span = FIRST_LOOK; left.some(({ low, end }) => end > low); span *= 2) {
    let newest: LogRecord | null = null;
    for (const range of left) {
      if (range.end <= range.low) continue;
      const from = Math.max(range.low, range.end - span);
      for await (const batch of log.read({ topic, partition: range.partition, from, to: range.end })) {
        for (const record of batch) {
          if (matches(record) && (newest === null || record.timestamp >= newest.timestamp)) newest = record;
        }
      }
      range.end = from;
    }
    if (newest !== null) return newest;
  }
  return null;
}
