import type { Log, LogRecord } from '../stores/log/log.js';

export interface TopicTail {
  /** Ends the reading; rejects with what ended it before. */
  stop(): Promise<void>;
  /** Throws what ended the reading, if anything did. */
  check(): void;
}

/**
 * Reads all partitions of a topic, as they grow, from given offsets on (partitions that are not named: from their
 * beginning). Records of one partition come in order.
 */
export async function tailTopic(
  log: Log,
  topic: string,
  from: Readonly<Record<string, number>>,
  onRecord: (record: LogRecord) => void,
): Promise<TopicTail> {
  const aborting = new AbortController();
  let failure: unknown = null;
  const readings = (await log.offsets(topic)).map(async ({ partition, low }) => {
    const range = { topic, partition, from: from[partition] ?? low, to: null, signal: aborting.signal };
    try {
      for await (const batch of log.read(range)) for (const record of batch) onRecord(record);
    } catch (error) {
      failure ??= error;
      aborting.abort();
    }
  });
  const check = (): void => {
    if (failure !== null) throw failure as Error;
  };
  return {
    check,
    stop: async () => {
      aborting.abort();
      await Promise.all(readings);
      check();
    },
  };
}
