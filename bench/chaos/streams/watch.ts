import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GroupMember, Log, LogRecord, TopicPartition } from '../../../stores/log/log.js';

/** Follows topics from their start: what is committed, each partition in offset order, through everything that befalls the broker. */
export class Watch {
  private readonly positions = new Map<string, number>();
  private failure: unknown = null;

  private constructor(
    private readonly log: Log,
    private readonly topics: readonly string[],
    private readonly member: GroupMember,
  ) {}

  /** @param take is given records of one topic as they come. */
  static async start(
    log: Log,
    topics: readonly string[],
    take: (topic: string, records: readonly LogRecord[]) => void,
  ): Promise<Watch> {
    let started: (watch: Watch) => void = () => undefined;
    const watch = new Promise<Watch>((resolve) => {
      started = resolve;
    });
    const member = await log.join({
      group: `chaos-watch-${randomUUID()}`,
      topics,
      memberName: 'watch',
      taskOf: () => 'all',
      onAssigned: ({ partitions }) => void watch.then((each) => each.resume(partitions)),
      onRecords: (records) =>
        void watch.then((each) => {
          const fresh = records.filter((record) => record.offset >= each.positionOf(record));
          const [last] = fresh.slice(-1);
          if (last === undefined) return;
          each.positions.set(nameOf(last), last.offset + 1);
          take(last.topic, fresh);
        }),
      onPosition: (partition, position) =>
        void watch.then((each) => {
          each.positions.set(nameOf(partition), Math.max(each.positionOf(partition), position));
        }),
      onError: (error) =>
        void watch.then((each) => {
          each.failure = error;
        }),
    });
    const made = new Watch(log, topics, member);
    started(made);
    return made;
  }

  /** Waits until everything has been taken that is in the log by now. */
  async caughtUp(): Promise<void> {
    for (const topic of this.topics) {
      for (const { partition, low, high } of await this.log.offsets(topic)) {
        while (high > low && this.positionOf({ topic, partition }) < high) {
          this.requireWhole();
          await sleep(20);
        }
      }
    }
  }

  async stop(): Promise<void> {
    await this.member.leave();
  }

  private requireWhole(): void {
    if (this.failure !== null) throw new Error('the log cannot be followed any more', { cause: this.failure });
  }

  private resume(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.member.seekAndResume(partition, this.positionOf(partition));
  }

  private positionOf(partition: TopicPartition): number {
    return this.positions.get(nameOf(partition)) ?? 0;
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
