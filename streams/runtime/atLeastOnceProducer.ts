import type { Log, LogProducer, OffsetToCommit, TransactionalProducer } from '../../stores/log/log.js';

/** Commits offsets for the group that the task is a member of. */
export type CommitOffsets = (offsets: readonly OffsetToCommit[]) => Promise<void>;

/**
 * A producer whose transactions are none: outputs are seen as soon as they are sent, and offsets are committed after them.
 * Whatever fails in between is done again: every input has its outputs once or more, never not at all.
 */
export async function openAtLeastOnceProducer(log: Log, commitOffsets: CommitOffsets): Promise<TransactionalProducer> {
  const producer: LogProducer = await log.producer();
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    begin: nothing,
    send: async (records) => {
      if (records.length > 0) await producer.send(records);
    },
    sendOffsets: (_group, offsets) => commitOffsets(offsets),
    commit: nothing,
    abort: nothing,
    close: () => producer.close(),
  };
}
