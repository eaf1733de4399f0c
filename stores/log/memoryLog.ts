import { TidemillError } from '../../contracts/errors.js';
import { assignTasks } from './kafkaAssigner.js';
import { offsetLost } from './kafkaReader.js';
import type {
  Assignment,
  CommittedOffset,
  ConsumerGroupOptions,
  GroupMember,
  Log,
  LogProducer,
  LogRecord,
  OutgoingRecord,
  PartitionOffsets,
  ReadRange,
  TopicPartition,
  TopicSpec,
  TransactionalProducer,
} from './log.js';
import { partitionOf } from './partitioner.js';

/** A transaction's records share its state, which decides whether they are seen. */
interface MemoryTransaction {
  state: 'open' | 'committed' | 'aborted';
  /** Partitions that it wrote to, with the first offset in each. */
  readonly places: Map<string, number>;
  readonly offsets: { group: string; place: string; offset: number; metadata: string }[];
}

/** A marker takes an offset and is never delivered, as in Kafka. */
type Entry = { readonly record: LogRecord; readonly transaction: MemoryTransaction | null } | { readonly marker: true };

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

/** Records handed over at once. */
const BATCH_RECORDS = 500;

export interface MemoryLogOptions {
  /** Log timestamps, ms. */
  readonly clock: () => number;
  /**
   * Says when a member gets the next records of a partition: `deliver` hands them over. Each partition has one delivery
   * under way at a time. @default in a later turn of the event loop
   */
  readonly schedule?: (deliver: () => void, memberName: string, partition: TopicPartition) => void;
  /** Records of one delivery at most, asked anew for each. @default 500 */
  readonly batchRecords?: () => number;
}

/**
 * The log in memory of one process: same order, transactions, fencing and groups as Kafka, for tests and for driving
 * topologies without a broker. One contract suite holds both to the port.
 */
export function createMemoryLog(options: MemoryLogOptions): Log {
  return new MemoryLog(options);
}

const placeOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

class MemoryLog implements Log {
  private readonly entries = new Map<string, Entry[]>();
  private readonly counts = new Map<string, number>();
  private readonly groupOffsets = new Map<string, { offset: number; metadata: string }>();
  private readonly members = new Map<string, Member[]>();
  private readonly epochs = new Map<string, { epoch: number; transaction: MemoryTransaction | null }>();
  private readonly open = new Set<MemoryTransaction>();
  private waiting: (() => void)[] = [];
  private nextMember = 1;

  constructor(private readonly options: MemoryLogOptions) {}

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    for (const { topic, partitions } of topics) {
      const found = this.counts.get(topic);
      if (found !== undefined && found !== partitions) {
        throw new TidemillError(
          'TOPIC_MISMATCH',
          `topic ${topic} has ${found} partitions where ${partitions} are needed`,
          {
            topic,
            found,
            partitions,
          },
        );
      }
      this.counts.set(topic, partitions);
      for (let partition = 0; partition < partitions; partition++) {
        const place = placeOf({ topic, partition });
        if (!this.entries.has(place)) this.entries.set(place, []);
      }
    }
  }

  async partitionCount(topic: string): Promise<number | null> {
    return this.counts.get(topic) ?? null;
  }

  async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    return Array.from({ length: this.counts.get(topic) ?? 0 }, (_, partition) => ({
      partition,
      low: 0,
      high: this.lastStable(placeOf({ topic, partition })),
    }));
  }

  async offsetsAt(topic: string, timestamp: number): ReturnType<Log['offsetsAt']> {
    return Array.from({ length: this.counts.get(topic) ?? 0 }, (_, partition) => {
      const place = placeOf({ topic, partition });
      const at = this.entriesOf(place).findIndex((entry) => 'record' in entry && entry.record.timestamp >= timestamp);
      return { partition, offset: at === -1 ? this.lastStable(place) : at };
    });
  }

  async groupMembers(group: string): ReturnType<Log['groupMembers']> {
    return (this.members.get(group) ?? []).map(({ options, assigned }) => ({
      name: options.memberName,
      host: 'memory',
      address: options.address ?? null,
      partitions: assigned,
    }));
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedOffset[]> {
    return partitions.map(({ topic, partition }) => {
      const known = this.groupOffsets.get(`${group}/${placeOf({ topic, partition })}`);
      return { topic, partition, offset: known?.offset ?? null, metadata: known?.metadata ?? '' };
    });
  }

  async commitOffsets(
    group: string,
    offsets: readonly (TopicPartition & { readonly offset: number })[],
  ): Promise<void> {
    for (const { offset, ...place } of offsets)
      this.groupOffsets.set(`${group}/${placeOf(place)}`, { offset, metadata: '' });
  }

  /** The first offset that an open transaction hides, or the end. */
  private lastStable(place: string): number {
    const entries = this.entriesOf(place);
    let stable = entries.length;
    for (const { places } of this.open) stable = Math.min(stable, places.get(place) ?? stable);
    return stable;
  }

  private entriesOf(place: string): Entry[] {
    const entries = this.entries.get(place);
    if (entries === undefined) throw new TidemillError('STREAM_NOT_FOUND', `${place} does not exist`, { place });
    return entries;
  }

  /** Visible records in [from, to), and where reading goes on. */
  private visible(place: string, from: number, to: number, isolation: 'committed' | 'uncommitted'): LogRecord[] {
    const records: LogRecord[] = [];
    for (const entry of this.entriesOf(place).slice(from, to)) {
      if ('marker' in entry) continue;
      const { transaction } = entry;
      if (isolation === 'uncommitted' || transaction === null || transaction.state === 'committed')
        records.push(entry.record);
    }
    return records;
  }

  async *read(range: ReadRange): AsyncIterable<readonly LogRecord[]> {
    const { topic, partition, from, to, isolation = 'committed', signal } = range;
    const place = placeOf({ topic, partition });
    if (from < 0) throw offsetLost(topic, partition, from, 0);
    signal?.addEventListener('abort', () => this.notify(), { once: true });
    for (let position = from; (to === null || position < to) && signal?.aborted !== true;) {
      const end = isolation === 'committed' ? this.lastStable(place) : this.entriesOf(place).length;
      const until = Math.min(end, to ?? Number.POSITIVE_INFINITY, position + BATCH_RECORDS);
      if (until <= position) {
        await this.change();
        continue;
      }
      const records = this.visible(place, position, until, isolation);
      position = until;
      if (records.length > 0) yield records;
    }
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Something was written, decided or assigned: readers and members look again. */
  private notify(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const wake of waiting) wake();
    const { schedule = (deliver) => void setImmediate(deliver) } = this.options;
    for (const members of this.members.values()) {
      for (const member of members) {
        for (const partition of member.assigned) {
          const place = placeOf(partition);
          if (member.delivering.has(place) || !this.hasNews(member, place)) continue;
          member.delivering.add(place);
          schedule(() => this.deliver(member, partition), member.options.memberName, partition);
        }
      }
    }
  }

  private hasNews(member: Member, place: string): boolean {
    const position = member.positions.get(place);
    return position !== undefined && !member.paused.has(place) && position < this.lastStable(place);
  }

  private deliver(member: Member, { topic, partition }: TopicPartition): void {
    const place = placeOf({ topic, partition });
    member.delivering.delete(place);
    // Much may have happened since: a pause, or another assignment.
    if (!this.hasNews(member, place)) return;
    const position = member.positions.get(place) as number;
    const until = Math.min(this.lastStable(place), position + (this.options.batchRecords?.() ?? BATCH_RECORDS));
    const records = this.visible(place, position, until, 'committed');
    member.positions.set(place, until);
    if (records.length > 0) member.options.onRecords(records, member.epoch);
    member.options.onPosition({ topic, partition }, until, this.entriesOf(place).length, member.epoch);
    this.notify();
  }

  append(records: readonly OutgoingRecord[], transaction: MemoryTransaction | null): void {
    for (const { topic, partition, key, value, headers } of records) {
      const count = this.counts.get(topic);
      if (count === undefined) throw new TidemillError('STREAM_NOT_FOUND', `topic ${topic} does not exist`, { topic });
      const bytes = (data: Buffer | string | null): Buffer | null =>
        typeof data === 'string' ? Buffer.from(data) : data;
      const to = partition ?? (key === null ? 0 : partitionOf(key, count));
      const place = placeOf({ topic, partition: to });
      const entries = this.entriesOf(place);
      const record: LogRecord = {
        topic,
        partition: to,
        offset: entries.length,
        timestamp: this.options.clock(),
        key: bytes(key),
        value: bytes(value),
        headers: headers ?? {},
      };
      entries.push({ record, transaction });
      if (transaction !== null && !transaction.places.has(place)) transaction.places.set(place, record.offset);
    }
    this.notify();
  }

  /** Decides a transaction: its offsets and records become visible together, and each partition gets a marker. */
  private end(transaction: MemoryTransaction, state: 'committed' | 'aborted'): void {
    transaction.state = state;
    this.open.delete(transaction);
    for (const place of transaction.places.keys()) this.entriesOf(place).push({ marker: true });
    if (state === 'committed') {
      for (const { group, place, offset, metadata } of transaction.offsets)
        this.groupOffsets.set(`${group}/${place}`, { offset, metadata });
    }
    this.notify();
  }

  async producer(): Promise<LogProducer> {
    return {
      send: async (records) => this.append(records, null),
      close: () => Promise.resolve(),
    };
  }

  async transactionalProducer(id: string): Promise<TransactionalProducer> {
    const before = this.epochs.get(id);
    if (before?.transaction?.state === 'open') this.end(before.transaction, 'aborted');
    const holder: { epoch: number; transaction: MemoryTransaction | null } = {
      epoch: (before?.epoch ?? 0) + 1,
      transaction: null,
    };
    this.epochs.set(id, holder);
    const current = (): MemoryTransaction => {
      if (this.epochs.get(id) !== holder)
        throw new TidemillError('PRODUCER_FENCED', `${id}: a successor took over`, { id });
      if (holder.transaction === null) throw new Error(`invariant broken: ${id} has no transaction open`);
      return holder.transaction;
    };
    const finish = async (state: 'committed' | 'aborted'): Promise<void> => {
      this.end(current(), state);
      holder.transaction = null;
    };
    return {
      begin: async () => {
        if (this.epochs.get(id) !== holder)
          throw new TidemillError('PRODUCER_FENCED', `${id}: a successor took over`, { id });
        const transaction: MemoryTransaction = { state: 'open', places: new Map(), offsets: [] };
        holder.transaction = transaction;
        this.open.add(transaction);
      },
      send: async (records) => this.append(records, current()),
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
    const member: Member = {
      id: `${this.nextMember++}`,
      options,
      epoch: 0,
      assigned: [],
      positions: new Map(),
      paused: new Set(),
      delivering: new Set(),
    };
    const group = this.members.get(options.group) ?? [];
    this.members.set(options.group, [...group, member]);
    this.rebalance(options.group);
    return {
      seekAndResume: (partition, offset) => {
        member.positions.set(placeOf(partition), offset);
        member.paused.delete(placeOf(partition));
        this.notify();
      },
      pause: (partitions) => partitions.forEach((partition) => member.paused.add(placeOf(partition))),
      resume: (partitions) => {
        for (const partition of partitions) member.paused.delete(placeOf(partition));
        this.notify();
      },
      confirmAssigned: (epoch) => Promise.resolve(epoch === member.epoch),
      commitOffsets: async (offsets, epoch) => {
        if (epoch !== member.epoch) {
          throw new TidemillError('PRODUCER_FENCED', `${options.group}: the group has a newer assignment`, {
            group: options.group,
          });
        }
        for (const { offset, metadata, ...place } of offsets)
          this.groupOffsets.set(`${options.group}/${placeOf(place)}`, { offset, metadata: metadata ?? '' });
      },
      leave: async () => {
        this.members.set(
          options.group,
          (this.members.get(options.group) ?? []).filter((other) => other !== member),
        );
        member.positions.clear();
        this.rebalance(options.group);
      },
    };
  }

  /** Eager, as Kafka's classic protocol: everybody starts a new epoch with nothing being read. */
  private rebalance(group: string): void {
    const members = this.members.get(group) ?? [];
    const [first] = members;
    if (first === undefined) return;
    const partitionsOf = new Map<string, TopicPartition[]>();
    for (const topic of first.options.topics) {
      for (let partition = 0; partition < (this.counts.get(topic) ?? 0); partition++) {
        const task = first.options.taskOf({ topic, partition });
        partitionsOf.set(task, [...(partitionsOf.get(task) ?? []), { topic, partition }]);
      }
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
      const assignment: Assignment = { epoch: member.epoch, partitions: member.assigned };
      member.options.onAssigned(assignment);
    }
  }

  async deleteTopics(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      for (let partition = 0; partition < (this.counts.get(topic) ?? 0); partition++)
        this.entries.delete(placeOf({ topic, partition }));
      this.counts.delete(topic);
    }
  }

  async topics(prefix: string): Promise<readonly string[]> {
    return [...this.counts.keys()].filter((topic) => topic.startsWith(prefix)).sort();
  }

  async deleteGroups(groups: readonly string[]): Promise<void> {
    for (const key of this.groupOffsets.keys())
      if (groups.some((group) => key.startsWith(`${group}/`))) this.groupOffsets.delete(key);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
