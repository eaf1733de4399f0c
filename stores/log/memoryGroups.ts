import { TidemillError } from '../../contracts/errors.js';
import { assignTasks } from './kafkaAssigner.js';
import type { ConsumerGroupOptions, GroupMember, Log, OffsetToCommit, TopicPartition } from './log.js';
import { placeOf, type MemoryPartitions } from './memoryPartitions.js';

interface Member {
  readonly id: string;
  readonly options: ConsumerGroupOptions;
  epoch: number;
  assigned: readonly TopicPartition[];
  /** Position of each partition that is being read. */
  readonly positions: Map<string, number>;
  readonly paused: Set<string>;
  /** Partitions whose next delivery is on its way. */
  readonly delivering: Set<string>;
}

/** How records reach the members of groups. */
export interface Delivery {
  /** Says when a member gets the next records of a partition: `deliver` hands them over. */
  readonly schedule: (deliver: () => void, memberName: string, partition: TopicPartition) => void;
  /** Records of one delivery at most, asked anew for each. */
  readonly batchRecords: () => number;
}

/** Consumer groups: who is a member, which partitions each has, and how far each has read. */
export class MemoryGroups {
  private readonly members = new Map<string, Member[]>();
  private nextMember = 1;

  constructor(
    private readonly partitions: MemoryPartitions,
    private readonly delivery: Delivery,
    private readonly commit: (group: string, offsets: readonly OffsetToCommit[]) => void,
  ) {}

  membersOf(group: string): Awaited<ReturnType<Log['groupMembers']>> {
    return (this.members.get(group) ?? []).map(({ options, assigned }) => ({
      name: options.memberName,
      host: 'memory',
      address: options.address ?? null,
      partitions: assigned,
    }));
  }

  join(options: ConsumerGroupOptions): GroupMember {
    const member: Member = {
      id: `${this.nextMember++}`,
      options,
      epoch: 0,
      assigned: [],
      positions: new Map(),
      paused: new Set(),
      delivering: new Set(),
    };
    const { group } = options;
    this.members.set(group, [...(this.members.get(group) ?? []), member]);
    this.rebalance(group);
    return {
      seekAndResume: (partition, offset) => {
        member.positions.set(placeOf(partition), offset);
        member.paused.delete(placeOf(partition));
        this.deliverNews();
      },
      pause: (partitions) => partitions.forEach((partition) => member.paused.add(placeOf(partition))),
      resume: (partitions) => {
        for (const partition of partitions) member.paused.delete(placeOf(partition));
        this.deliverNews();
      },
      confirmAssigned: (epoch) => Promise.resolve(epoch === member.epoch),
      commitOffsets: async (offsets, epoch) => {
        if (epoch !== member.epoch)
          throw new TidemillError('PRODUCER_FENCED', `${group}: the group has a newer assignment`, { group });
        this.commit(group, offsets);
      },
      leave: async () => {
        this.members.set(
          group,
          (this.members.get(group) ?? []).filter((other) => other !== member),
        );
        member.positions.clear();
        this.rebalance(group);
      },
    };
  }

  /** Something was written, decided or assigned: whoever has something to read gets it. */
  deliverNews(): void {
    for (const members of this.members.values()) {
      for (const member of members) {
        for (const partition of member.assigned) {
          const place = placeOf(partition);
          if (member.delivering.has(place) || !this.hasNews(member, place)) continue;
          member.delivering.add(place);
          this.delivery.schedule(() => this.deliver(member, partition), member.options.memberName, partition);
        }
      }
    }
  }

  private hasNews(member: Member, place: string): boolean {
    const position = member.positions.get(place);
    return position !== undefined && !member.paused.has(place) && position < this.partitions.lastStable(place);
  }

  private deliver(member: Member, { topic, partition }: TopicPartition): void {
    const place = placeOf({ topic, partition });
    member.delivering.delete(place);
    // Much may have happened since: a pause, or another assignment.
    if (!this.hasNews(member, place)) return;
    const position = member.positions.get(place) as number;
    const until = Math.min(this.partitions.lastStable(place), position + this.delivery.batchRecords());
    const records = this.partitions.visible(place, position, until, 'committed');
    member.positions.set(place, until);
    if (records.length > 0) member.options.onRecords(records, member.epoch);
    member.options.onPosition({ topic, partition }, until, this.partitions.end(place), member.epoch);
    this.deliverNews();
  }

  /** Eager, as Kafka's classic protocol: everybody starts a new epoch with nothing being read. */
  private rebalance(group: string): void {
    const members = this.members.get(group) ?? [];
    const [first] = members;
    if (first === undefined) return;
    const partitionsOf = new Map<string, TopicPartition[]>();
    for (const partition of first.options.topics.flatMap((topic) => this.partitions.of(topic))) {
      const task = first.options.taskOf(partition);
      partitionsOf.set(task, [...(partitionsOf.get(task) ?? []), partition]);
    }
    const assigned = assignTasks(
      [...partitionsOf.keys()],
      members.map(({ id, options, assigned: held }) => ({
        memberId: id,
        name: options.memberName,
        tasks: [...new Set(held.map((partition) => options.taskOf(partition)))],
        topics: options.topics,
      })),
      ({ topics }, task) => (partitionsOf.get(task) ?? []).every(({ topic }) => topics.includes(topic)),
    );
    for (const member of members) {
      member.epoch++;
      member.positions.clear();
      member.assigned = (assigned.get(member.id) ?? []).flatMap((task) => partitionsOf.get(task) ?? []);
      member.options.onAssigned({ epoch: member.epoch, partitions: member.assigned });
    }
  }
}
