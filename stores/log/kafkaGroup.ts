import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join as pathOf } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EachBatchPayload, Kafka } from 'kafkajs';
import { isTidemillError, TidemillError } from '../../contracts/errors.js';
import { taskAssigner } from './kafkaAssigner.js';
import { codedError, isPassing, leaveForDeadMember, protocolType, RETRY } from './kafkaClient.js';
import { recordsOf } from './kafkajs/fetchedBatch.js';
import type { ConsumerGroupOptions, GroupMember, TopicPartition } from './log.js';

/** What a broker answers to a member whose assignment is over, or about to be. */
const STALE_MEMBER: ReadonlySet<string> = new Set(['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID']);

/**
 * Joins a consumer group.
 *
 * Delivery starts paused after every assignment, and only `seekAndResume` starts it: `pause` inside the GROUP_JOIN
 * listener runs before the client's first fetch, so nothing is delivered early. All the same every delivery carries the
 * epoch of its assignment, and records of an older epoch are dropped here.
 */
export async function joinGroup(kafka: Kafka, options: ConsumerGroupOptions): Promise<GroupMember> {
  const { group, topics, memberName } = options;
  const remembered =
    options.memberDirectory === undefined ? null : pathOf(options.memberDirectory, `${group}.${memberName}.member`);
  if (remembered !== null) {
    const dead = await readFile(remembered, 'utf8').catch(() => null);
    if (dead !== null) await leaveForDeadMember(kafka, group, dead);
  }

  let epoch = 0;
  let held: readonly string[] = [];
  /** Where reading was last told to go on, by partition, until something from there on has come. */
  const sought = new Map<string, number>();
  /** The partition whose batch was delivered last, until its position is told. */
  let delivered: string | null = null;
  let confirmations: ((assigned: boolean) => void)[] = [];
  const settle = (assigned: boolean): void => {
    const waiting = confirmations;
    confirmations = [];
    for (const confirm of waiting) confirm(assigned);
  };

  const consumer = kafka.consumer({
    groupId: group,
    allowAutoTopicCreation: false,
    sessionTimeout: options.sessionTimeoutMs ?? 10_000,
    rebalanceTimeout: 30_000,
    heartbeatInterval: 1_000,
    // With everything paused the client sleeps this long before it looks again.
    maxWaitTimeInMs: 50,
    maxBytesPerPartition: 2 * 2 ** 20,
    maxBytes: 16 * 2 ** 20,
    partitionAssigners: [
      taskAssigner(
        memberName,
        () => held,
        (partition) => options.taskOf(partition),
        options.address,
      ),
    ],
    retry: RETRY,
  });

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    epoch++;
    settle(false);
    const assigned = Object.entries(payload.memberAssignment).map(([topic, partitions]) => ({ topic, partitions }));
    consumer.pause(assigned);
    const partitions = assigned.flatMap(({ topic, partitions: numbers }) =>
      numbers.map((partition) => ({ topic, partition })),
    );
    held = [...new Set(partitions.map((partition) => options.taskOf(partition)))];
    if (remembered !== null) {
      void mkdir(options.memberDirectory as string, { recursive: true })
        .then(() => writeFile(remembered, payload.memberId))
        .catch(options.onError);
    }
    options.onAssigned({ epoch, partitions });
  });
  consumer.on(consumer.events.HEARTBEAT, () => settle(true));
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    const name = nameOf(payload);
    const wasDelivered = delivered === name;
    delivered = null;
    const end = Number(payload.lastOffset) + 1;
    const from = sought.get(name);
    if (from !== undefined) {
      // A batch that was fetched before the seek ends, too, although its records were not delivered: its position would leave
      // a gap. Only markers that lie where reading goes on move it without records.
      const isMarkers =
        payload.batchSize === 0 && Number(payload.firstOffset ?? payload.lastOffset) <= from && end > from;
      if (!wasDelivered && !isMarkers) return;
      sought.delete(name);
    }
    options.onPosition(payload, end, Number(payload.highWatermark), epoch);
  });
  const join = async (): Promise<void> => {
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: 1,
      eachBatch: async (payload: EachBatchPayload) => {
        const { batch } = payload;
        if (payload.isStale() || !payload.isRunning()) return;
        delivered = nameOf(batch);
        options.onRecords(recordsOf(batch), epoch);
      },
    });
  };
  let hasLeft = false;
  /** Joins again what the client gave up, as long as it is the broker that is away. */
  const rejoin = async (failure: unknown): Promise<void> => {
    for (let error = failure; !hasLeft;) {
      if (!isTidemillError(codedError(error, group), 'LOG_UNAVAILABLE') && !isPassing(error)) {
        options.onError(codedError(error, group));
        return;
      }
      await sleep(RETRY.maxRetryTime);
      if (hasLeft) return;
      try {
        await join();
        return;
      } catch (again) {
        error = again;
      }
    }
  };
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    // With `restart` the client rejoins by itself.
    if (!payload.restart) void rejoin(payload.error);
  });

  try {
    await join();
  } catch (error) {
    // Nobody would leave a group that was joined half.
    hasLeft = true;
    await consumer.disconnect().catch(() => undefined);
    throw codedError(error, group);
  }

  const grouped = (partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] =>
    partitions.map(({ topic, partition }) => ({ topic, partitions: [partition] }));
  return {
    seekAndResume: ({ topic, partition }, offset) => {
      const name = nameOf({ topic, partition });
      sought.set(name, offset);
      if (delivered === name) delivered = null;
      consumer.seek({ topic, partition, offset: String(offset) });
      consumer.resume([{ topic, partitions: [partition] }]);
    },
    pause: (partitions) => consumer.pause(grouped(partitions)),
    resume: (partitions) => consumer.resume(grouped(partitions)),
    confirmAssigned: (wanted) =>
      wanted === epoch ? new Promise((resolve) => confirmations.push(resolve)) : Promise.resolve(false),
    commitOffsets: async (offsets, of) => {
      const stale = (why: string): TidemillError =>
        new TidemillError('PRODUCER_FENCED', `${group}: the group has a newer assignment (${why})`, { group });
      if (of !== epoch) throw stale(`${of} is before ${epoch}`);
      try {
        await consumer.commitOffsets(
          offsets.map(({ offset, metadata, ...place }) => {
            return { ...place, offset: String(offset), metadata: metadata ?? '' };
          }),
        );
      } catch (error) {
        const type = protocolType(error);
        throw STALE_MEMBER.has(type) ? stale(type) : codedError(error, group);
      }
    },
    leave: () => {
      hasLeft = true;
      return consumer.disconnect();
    },
  };
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
