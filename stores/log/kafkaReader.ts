import { randomUUID } from 'node:crypto';
import type { EachBatchPayload, Kafka } from 'kafkajs';
import { TidemillError } from '../../contracts/errors.js';
import { recordsOf } from './kafkajs/fetchedBatch.js';
import { codedError, isPassing, RETRY } from './kafkaClient.js';
import type { LogRecord, PartitionOffsets, ReadRange } from './log.js';

/** Batches that may wait for the reader of the iterator before the partition is paused. */
const MAX_WAITING_BATCHES = 4;

/**
 * Reads one partition without sharing it: through a throwaway group of one member, whose offsets are never committed.
 * Ends by position, not by the last record: markers and aborted records leave gaps.
 */
export async function* readPartition(
  kafka: Kafka,
  range: ReadRange,
  currentOffsets: () => Promise<readonly PartitionOffsets[]>,
): AsyncIterable<readonly LogRecord[]> {
  const { topic, partition, from, to } = range;
  const known = (await currentOffsets()).find((each) => each.partition === partition);
  if (known === undefined)
    throw new TidemillError('TOPIC_MISMATCH', `${topic} has no partition ${partition}`, { topic, partition });
  if (from < known.low) throw offsetLost(topic, partition, from, known.low);
  if (to !== null && from >= to) return;

  const groupId = `tidemill.reader.${randomUUID()}`;
  const consumer = kafka.consumer({
    groupId,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: 100,
    maxBytesPerPartition: 4 * 2 ** 20,
    sessionTimeout: 30_000,
    readUncommitted: range.isolation === 'uncommitted',
    retry: RETRY,
  });
  const waiting: (readonly LogRecord[])[] = [];
  let position = from;
  let failure: unknown = null;
  let wake: () => void = () => undefined;
  const place = { topic, partitions: [partition] };
  const onAbort = (): void => wake();
  range.signal?.addEventListener('abort', onAbort, { once: true });

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const others = (payload.memberAssignment[topic] ?? []).filter((each) => each !== partition);
    if (others.length > 0) consumer.pause([{ topic, partitions: others }]);
    consumer.seek({ topic, partition, offset: String(position) });
  });
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    if (payload.partition !== partition) return;
    position = Math.max(position, Number(payload.lastOffset) + 1);
    wake();
  });
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (payload.restart && isPassing(payload.error)) return;
    failure = payload.error;
    wake();
  });

  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async (payload: EachBatchPayload) => {
        const { batch } = payload;
        if (batch.partition !== partition || payload.isStale()) return;
        const records = recordsOf(batch).filter(({ offset }) => offset >= position && (to === null || offset < to));
        if (records.length > 0) waiting.push(records);
        if (waiting.length >= MAX_WAITING_BATCHES) consumer.pause([place]);
      },
    });
    while (range.signal?.aborted !== true) {
      const batch = waiting.shift();
      if (batch !== undefined) {
        if (waiting.length === 0) consumer.resume([place]);
        yield batch;
        continue;
      }
      if (failure !== null) throw codedError(failure, `${topic}-${partition}`);
      if (to !== null && position >= to) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    range.signal?.removeEventListener('abort', onAbort);
    await consumer.disconnect();
    // Left empty, the group is removed by the broker when its offsets' retention is over; it never had any.
  }
}

export function offsetLost(topic: string, partition: number, wanted: number, start: number): TidemillError {
  return new TidemillError(
    'OFFSET_LOST',
    `${topic}-${partition}: offset ${wanted} is no longer in the log, which starts at ${start}`,
    {
      topic,
      partition,
      wanted,
      start,
    },
  );
}
