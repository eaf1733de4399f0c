import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GroupMember, Log, LogRecord, TopicPartition } from '../../../stores/log/log.js';

/** Follows topics from their start: what is committed, each partition in offset order, through everything that befalls the broker. */
export class Watch {
  private readonly positions = new Map<string, number>();
  private member: GroupMember | null = null;
  private isOver = false;

  private constructor(
    private readonly log: Log,
    private readonly topics: readonly string[],
    private readonly take: (topic: string, records: readonly LogRecord[]) => void,
  ) {}

  /** @param take is given records of one topic as they come. */
  static async start(
    log: Log,
    topics: readonly string[],
    take: (topic: string, records: readonly LogRecord[]) => void,
  ): Promise<Watch> {
    const watch = new Watch(log, topics, take);
    await watch.join();
    return watch;
  }

  /** Waits until everything has been taken that is in the log by now. */
  async caughtUp(): Promise<void> {
    for (const topic of this.topics) {
      for (const { partition, low, high } of await this.log.offsets(topic)) {
        while (high > low && this.positionOf({ topic, partition }) < high) await sleep(20);
      }
    }
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.member?.leave();
  }

  private async join(): Promise<void> {
    let joined: (member: GroupMember) => void = () => undefined;
    const member = new Promise<GroupMember>((resolve) => {
      joined = resolve;
    });
    this.member = await this.log.join({
      group: `chaos-watch-${randomUUID()}`,
      topics: this.topics,
      memberName: 'watch',
      taskOf: () => 'all',
      onAssigned: ({ partitions }) => void member.then((each) => this.resume(each, partitions)),
      onRecords: (records) => {
        const fresh = records.filter((record) => record.offset >= this.positionOf(record));
        const [last] = fresh.slice(-1);
        if (last === undefined) return;
        this.positions.set(nameOf(last), last.offset + 1);
        this.take(last.topic, fresh);
      },
      onPosition: (partition, position) => {
        this.positions.set(nameOf(partition), Math.max(this.positionOf(partition), position));
      },
      onError: () => void this.joinAgain(),
    });
    joined(this.member);
  }

  /** The member is done for: another one goes on where it was. */
  private async joinAgain(): Promise<void> {
    while (!this.isOver) {
      try {
        await this.join();
        return;
      } catch {
        // The broker is not there yet.
        await sleep(1_000);
      }
    }
  }

  private resume(member: GroupMember, partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) member.seekAndResume(partition, this.positionOf(partition));
  }

  private positionOf(partition: TopicPartition): number {
    return this.positions.get(nameOf(partition)) ?? 0;
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
