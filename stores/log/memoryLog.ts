import { TidemillError } from '../../contracts/errors.js';
import { offsetLost } from './kafkaReader.js';
import type {
  CommittedOffset,
  ConsumerGroupOptions,
  GroupMember,
  Log,
  LogProducer,
  LogRecord,
  OffsetToCommit,
  PartitionOffsets,
  ReadRange,
  TopicPartition,
  TopicSpec,
  TransactionalProducer,
} from './log.js';
import { MemoryGroups, type Delivery } from './memoryGroups.js';
import { MemoryPartitions, placeOf, type MemoryTransaction } from './memoryPartitions.js';

/** Records handed over at once. */
const BATCH_RECORDS = 500;

export interface MemoryLogOptions {
  /** Log timestamps, ms. */
  readonly clock: () => number;
  /**
   * Says when a member gets the next records of a partition: `deliver` hands them over. Each partition has one delivery
   * under way at a time. @default in a later turn of the event loop
   */
  readonly schedule?: Delivery['schedule'];
  /** Records of one delivery at most, asked anew for each. @default 500 */
  readonly batchRecords?: Delivery['batchRecords'];
}

/**
 * The log in memory of one process: same order, transactions, fencing and groups as Kafka, for tests and for driving
 * topologies without a broker. One contract suite holds both to the port.
 */
export function createMemoryLog(options: MemoryLogOptions): Log {
  return new MemoryLog(options);
}

class MemoryLog implements Log {
  private readonly partitions: MemoryPartitions;
  private readonly groups: MemoryGroups;
  /** By group and partition. */
  private readonly groupOffsets = new Map<string, { offset: number; metadata: string }>();
  private readonly epochs = new Map<string, { transaction: MemoryTransaction | null }>();
  private waiting: (() => void)[] = [];

  constructor({ clock, schedule, batchRecords }: MemoryLogOptions) {
    this.partitions = new MemoryPartitions(clock, () => this.notify());
    const delivery = {
      schedule: schedule ?? ((deliver: () => void) => void setImmediate(deliver)),
      batchRecords: batchRecords ?? (() => BATCH_RECORDS),
    };
    this.groups = new MemoryGroups(this.partitions, delivery, (group, offsets) => this.keep(group, offsets));
  }

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    for (const { topic, partitions } of topics) this.partitions.ensure(topic, partitions);
  }

  async partitionCount(topic: string): Promise<number | null> {
    return this.partitions.count(topic);
  }

  async topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const ids = new Map<string, string>();
    for (const topic of topics) {
      const id = this.partitions.id(topic);
      if (id !== null) ids.set(topic, id);
    }
    return ids;
  }

  async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    return this.partitions.of(topic).map((each) => ({
      partition: each.partition,
      low: 0,
      high: this.partitions.lastStable(placeOf(each)),
    }));
  }

  async offsetsAt(topic: string, timestamp: number): ReturnType<Log['offsetsAt']> {
    return this.partitions.of(topic).map((each) => {
      const place = placeOf(each);
      const { partition } = each;
      return { partition, offset: this.partitions.offsetAt(place, timestamp) ?? this.partitions.lastStable(place) };
    });
  }

  async groupMembers(group: string): ReturnType<Log['groupMembers']> {
    return this.groups.membersOf(group);
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedOffset[]> {
    return partitions.map(({ topic, partition }) => {
      const known = this.groupOffsets.get(`${group}/${placeOf({ topic, partition })}`);
      return { topic, partition, offset: known?.offset ?? null, metadata: known?.metadata ?? '' };
    });
  }

  async commitOffsets(group: string, offsets: readonly OffsetToCommit[]): Promise<void> {
    this.keep(group, offsets);
  }

  private keep(group: string, offsets: readonly OffsetToCommit[]): void {
    for (const { offset, metadata, ...place } of offsets)
      this.groupOffsets.set(`${group}/${placeOf(place)}`, { offset, metadata: metadata ?? '' });
  }

  async *read(range: ReadRange): AsyncIterable<readonly LogRecord[]> {
    const { topic, partition, from, to, isolation = 'committed', signal } = range;
    const place = placeOf({ topic, partition });
    if (from < 0) throw offsetLost(topic, partition, from, 0);
    signal?.addEventListener('abort', () => this.notify(), { once: true });
    for (let position = from; (to === null || position < to) && signal?.aborted !== true;) {
      const end = isolation === 'committed' ? this.partitions.lastStable(place) : this.partitions.end(place);
      const until = Math.min(end, to ?? Number.POSITIVE_INFINITY, position + BATCH_RECORDS);
      if (until <= position) {
        await this.change();
        continue;
      }
      const records = this.partitions.visible(place, position, until, isolation);
      position = until;
      if (records.length > 0) yield records;
    }
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Something was written or decided: readers and members look again. */
  private notify(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const wake of waiting) wake();
    this.groups.deliverNews();
  }

  /** Decides a transaction: its offsets and records become visible together. */
  private end(transaction: MemoryTransaction, state: 'committed' | 'aborted'): void {
    this.partitions.decide(transaction, state);
    if (state === 'committed') {
      for (const { group, place, offset, metadata } of transaction.offsets)
        this.groupOffsets.set(`${group}/${place}`, { offset, metadata });
    }
    this.notify();
  }

  async producer(): Promise<LogProducer> {
    return {
      send: async (records) => this.partitions.append(records, null),
      close: () => Promise.resolve(),
    };
  }

  async transactionalProducer(id: string): Promise<TransactionalProducer> {
    const before = this.epochs.get(id);
    if (before?.transaction?.state === 'open') this.end(before.transaction, 'aborted');
    const holder: { transaction: MemoryTransaction | null } = { transaction: null };
    this.epochs.set(id, holder);
    const requireOwn = (): void => {
      if (this.epochs.get(id) !== holder)
        throw new TidemillError('PRODUCER_FENCED', `${id}: a successor took over`, { id });
    };
    const current = (): MemoryTransaction => {
      requireOwn();
      if (holder.transaction === null) throw new Error(`invariant broken: ${id} has no transaction open`);
      return holder.transaction;
    };
    const finish = async (state: 'committed' | 'aborted'): Promise<void> => {
      this.end(current(), state);
      holder.transaction = null;
    };
    return {
      begin: async () => {
        requireOwn();
        holder.transaction = this.partitions.begin();
      },
      send: async (records) => this.partitions.append(records, current()),
      sendOffsets: async (group, offsets) => {
        const { offsets: pending } = current();
        for (const { offset, metadata, ...place } of offsets)
          pending.push({ group, place: placeOf(place), offset, metadata: metadata ?? '' });
      },
      commit: () => finish('committed'),
      abort: () => finish('aborted'),
      close: () => Promise.resolve(),
    };
  }

  async join(options: ConsumerGroupOptions): Promise<GroupMember> {
    return this.groups.join(options);
  }

  async deleteTopics(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      // What groups committed goes with it.
      for (const place of this.partitions.of(topic).map(placeOf))
        for (const key of this.groupOffsets.keys()) if (key.endsWith(`/${place}`)) this.groupOffsets.delete(key);
      this.partitions.delete(topic);
    }
  }

  async topics(prefix: string): Promise<readonly string[]> {
    return this.partitions.topics.filter((topic) => topic.startsWith(prefix)).sort();
  }

  async deleteGroups(groups: readonly string[]): Promise<void> {
    for (const key of this.groupOffsets.keys())
      if (groups.some((group) => key.startsWith(`${group}/`))) this.groupOffsets.delete(key);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
