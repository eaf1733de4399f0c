import type { Log, LogRecord } from '../../stores/log/log.js';

/** All committed records of a topic, partition by partition in offset order. A topic that does not exist has none. */
export async function readTopic(log: Log, topic: string): Promise<LogRecord[]> {
  if ((await log.partitionCount(topic)) === null) return [];
  const ranges = await log.offsets(topic);
  const partitions = await Promise.all(
    ranges.map(async ({ partition, low, high }) => {
      const records: LogRecord[] = [];
      for await (const batch of log.read({ topic, partition, from: low, to: high })) records.push(...batch);
      return records;
    }),
  );
  return partitions.flat();
}

/** The JSON value of a record. */
export function jsonOf<T>({ value }: LogRecord): T {
  return JSON.parse(value?.toString('utf8') ?? 'null') as T;
}
