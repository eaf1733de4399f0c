/**
 * The log: partitioned, ordered, with transactions. A port; Kafka through kafkajs is its first adapter. Nothing above
 * `stores/log` knows the client library. Offsets are numbers (below 2^53).
 */
export interface Log {
  /** Creates what is missing; a topic that exists with another partition count is an error (TOPIC_MISMATCH). */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>;
  partitionCount(topic: string): Promise<number | null>;
  /**
   * Identities of topics, by name: one that is deleted and created anew has another. Left out are topics that do not exist,
   * and all of them where the broker tells no identities (before Kafka 2.8).
   */
  topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** First retained offset and the last stable offset: the one after the last record that no open transaction hides. */
  offsets(topic: string): Promise<readonly PartitionOffsets[]>;
  /** By partition, the first offset whose record was appended at `timestamp`, ms, or later; the end where there is none. */
  offsetsAt(
    topic: string,
    timestamp: number,
  ): Promise<readonly { readonly partition: number; readonly offset: number }[]>;
  /** Who is in a group now; nobody where there is no such group. */
  groupMembers(group: string): Promise<readonly GroupMemberName[]>;
  /** Committed offsets of a group; null where there is none. */
  committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedOffset[]>;
  /** Sets a group's offsets outside a transaction; refused while the group has members. */
  commitOffsets(group: string, offsets: readonly (TopicPartition & { readonly offset: number })[]): Promise<void>;
  /**
   * Reads one partition from `from` (inclusive) to `to` (exclusive), without a group, judged by position (transaction
   * markers leave gaps). Batches come in order; backpressure by the consumer of the iterator.
   * @throws TidemillError OFFSET_LOST where `from` is no longer retained.
   */
  read(range: ReadRange): AsyncIterable<readonly LogRecord[]>;
  /** A member of a consumer group; see ConsumerGroupOptions. */
  join(options: ConsumerGroupOptions): Promise<GroupMember>;
  /** A producer without transactions, for loaders and the outbox publisher. */
  producer(): Promise<LogProducer>;
  /** A transactional producer, fenced in: when this resolves, no predecessor with the same id can commit any more. */
  transactionalProducer(transactionalId: string): Promise<TransactionalProducer>;
  deleteTopics(topics: readonly string[]): Promise<void>;
  /** Topics whose names start with `prefix`. */
  topics(prefix: string): Promise<readonly string[]>;
  deleteGroups(groups: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  readonly compacted?: boolean;
  /** Keep records for ever (default) or this long. */
  readonly retentionMs?: number;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionOffsets {
  readonly partition: number;
  readonly low: number;
  readonly high: number;
}

export interface GroupMemberName {
  /** Name of the process that joined: that of its instance. */
  readonly name: string;
  /** Address from which it joined. */
  readonly host: string;
  /** HOST:PORT where it says it answers about itself; null where it does not. */
  readonly address: string | null;
  /** What it is assigned; nothing while the group is being assigned anew. */
  readonly partitions: readonly TopicPartition[];
}

export interface CommittedOffset extends TopicPartition {
  readonly offset: number | null;
  /** Metadata committed with the offset; '' where there is none. */
  readonly metadata: string;
}

export interface OffsetToCommit extends TopicPartition {
  readonly offset: number;
  /** Kept with the offset, and given back by `committed`. @default '' */
  readonly metadata?: string;
}

export interface LogRecord extends TopicPartition {
  readonly offset: number;
  /** Log timestamp, ms. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | string | undefined>>;
  /** Bytes of key and value, where they are known without cutting them out of what was read. */
  readonly size?: number;
}

export interface ReadRange extends TopicPartition {
  readonly from: number;
  /** Exclusive; null reads on until the iterator is closed, or `signal` aborts. */
  readonly to: number | null;
  /** Ends the reading, also while it waits for records. */
  readonly signal?: AbortSignal;
  /** `committed` (default) hides aborted and open transactions. */
  readonly isolation?: 'committed' | 'uncommitted';
}

export interface OutgoingRecord {
  readonly topic: string;
  /** Explicit partition, else by murmur2 hash of the key (Kafka's default). */
  readonly partition?: number;
  readonly key: Buffer | string | null;
  readonly value: Buffer | string | null;
  readonly headers?: Readonly<Record<string, Buffer | string>>;
  readonly timestamp?: number;
}

export interface LogProducer {
  send(records: readonly OutgoingRecord[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * One transaction at a time. Any ambiguous failure makes the producer unusable: drop it, make a new one, rebuild.
 * @throws TidemillError PRODUCER_FENCED from every method once a successor took the id over.
 */
export interface TransactionalProducer {
  begin(): Promise<void>;
  send(records: readonly OutgoingRecord[]): Promise<void>;
  sendOffsets(group: string, offsets: readonly OffsetToCommit[]): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
  close(): Promise<void>;
}

export interface ConsumerGroupOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /** Stable name of the member; a restart with the same name replaces its dead predecessor at once where possible. */
  readonly memberName: string;
  /** Directory in which the member id is remembered for that. */
  readonly memberDirectory?: string;
  /** HOST:PORT where the member answers about itself: other processes find it in the group. */
  readonly address?: string;
  /** All partitions with the same task id go to one member; assignments are sticky. */
  readonly taskOf: (partition: TopicPartition) => string;
  /** Called synchronously when an assignment is known: everything is paused until `resume`. */
  readonly onAssigned: (assignment: Assignment) => void;
  /** Only enqueues. Records of stale epochs are never delivered. */
  readonly onRecords: (records: readonly LogRecord[], epoch: number) => void;
  /** How far a partition has been read, markers and aborted records included, and the high watermark as last seen. */
  readonly onPosition: (partition: TopicPartition, position: number, highWatermark: number, epoch: number) => void;
  readonly onError: (error: unknown) => void;
  readonly sessionTimeoutMs?: number;
}

export interface Assignment {
  readonly epoch: number;
  readonly partitions: readonly TopicPartition[];
}

export interface GroupMember {
  /** Starts delivery of a partition from `offset`. */
  seekAndResume(partition: TopicPartition, offset: number): void;
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /**
   * True after the next successful heartbeat under this assignment, false where another one came first: only then may a
   * fenced task take its transactional id back, or a zombie would fence the rightful owner.
   */
  confirmAssigned(epoch: number): Promise<boolean>;
  /**
   * Commits offsets for the group outside a transaction.
   *
   * @param epoch of the assignment that they belong to.
   * @throws TidemillError PRODUCER_FENCED where there is a newer assignment.
   */
  commitOffsets(offsets: readonly OffsetToCommit[], epoch: number): Promise<void>;
  /** Leaves the group at once. */
  leave(): Promise<void>;
}
