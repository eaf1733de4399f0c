import type { ConsumerGroupOptions, Log, OutgoingRecord, TopicPartition } from '../../stores/log/log.js';
import { partitionName } from '../runtime/taskInputs.js';

/** How a replay sees the log. */
export interface Bounds {
  /** Where partitions end, by name: what comes after has not happened yet. Others end where they end. */
  readonly ends: ReadonlyMap<string, number>;
  /** Where records of a topic go instead. */
  readonly redirect: (topic: string) => string;
}

/**
 * The log of a replay: its input ends where the running generation stands, and its outputs go to topics of its own. The
 * topology on it is the one that runs live, and knows nothing of either.
 */
export function boundedLog(log: Log, { ends, redirect }: Bounds): Log {
  const endOf = (place: TopicPartition): number => ends.get(partitionName(place)) ?? Number.POSITIVE_INFINITY;
  const redirected = (records: readonly OutgoingRecord[]): OutgoingRecord[] =>
    records.map((record) => ({ ...record, topic: redirect(record.topic) }));
  return {
    ensureTopics: (topics) => log.ensureTopics(topics.map((spec) => ({ ...spec, topic: redirect(spec.topic) }))),
    partitionCount: (topic) => log.partitionCount(topic),
    topicIds: (topics) => log.topicIds(topics),
    offsets: async (topic) =>
      (await log.offsets(topic)).map(({ partition, low, high }) => ({
        partition,
        low,
        high: Math.min(high, Math.max(low, endOf({ topic, partition }))),
      })),
    offsetsAt: (topic, timestamp) => log.offsetsAt(topic, timestamp),
    groupMembers: (group) => log.groupMembers(group),
    committed: (group, partitions) => log.committed(group, partitions),
    commitOffsets: (group, offsets) => log.commitOffsets(group, offsets),
    read: (range) => log.read(range),
    join: (options) => log.join(boundedGroup(options, endOf)),
    producer: async () => {
      const producer = await log.producer();
      return { send: (records) => producer.send(redirected(records)), close: () => producer.close() };
    },
    transactionalProducer: async (id) => {
      const producer = await log.transactionalProducer(id);
      return {
        begin: () => producer.begin(),
        send: (records) => producer.send(redirected(records)),
        sendOffsets: (group, offsets) => producer.sendOffsets(group, offsets),
        commit: () => producer.commit(),
        abort: () => producer.abort(),
        close: () => producer.close(),
      };
    },
    deleteTopics: (topics) => log.deleteTopics(topics),
    topics: (prefix) => log.topics(prefix),
    deleteGroups: (groups) => log.deleteGroups(groups),
    close: () => log.close(),
  };
}

function boundedGroup(options: ConsumerGroupOptions, endOf: (place: TopicPartition) => number): ConsumerGroupOptions {
  return {
    ...options,
    onRecords: (records, epoch) => {
      const [first] = records;
      if (first === undefined) return;
      const end = endOf(first);
      const within = (records.at(-1)?.offset ?? 0) < end ? records : records.filter(({ offset }) => offset < end);
      if (within.length > 0) options.onRecords(within, epoch);
    },
    onPosition: (place, position, highWatermark, epoch) => {
      const end = endOf(place);
      options.onPosition(place, Math.min(position, end), Math.min(highWatermark, end), epoch);
    },
  };
}
