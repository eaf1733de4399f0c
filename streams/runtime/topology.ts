import type { Value } from '../../features/types.js';
import type { LogRecord, OutgoingRecord, TopicPartition } from '../../stores/log/log.js';
import type { StoredState } from './storedState.js';
import type { DriftSpec, SourceStanding } from './drift.js';
import type { InputPace, TaskTimers } from './taskTimers.js';
import type { TopologyIdentity } from '../../contracts/topics.js';

/**
 * What a topology gives to the runtime. The runtime owns the consumer group, order across inputs, transactions,
 * offsets, recovery, snapshots and dead letters; a task is a deterministic fold with outputs.
 *
 * The path of one record: `parse` (outside order: gives its event time) -> taken when it is the earliest among the
 * task's inputs -> `fold` (synchronous: state and outputs) -> `drain` before each commit and whenever `pendingRows`
 * reaches a micro-batch (scoring) -> transaction {outputs, offsets} commits -> `committed` -> now and then `snapshot`.
 */
export interface Topology {
  readonly identity: TopologyIdentity;
  readonly sources: readonly SourceSpec[];
  /** What it consists of, in the order in which records pass: for people and for `tidemill stream describe`. */
  readonly stages: readonly StageSpec[];
  /** Topics the topology writes to or creates, ensured at start. */
  readonly outputs: readonly { readonly topic: string; readonly partitions: number; readonly compacted?: boolean }[];
  /** How tasks that read sources keep together. @default each goes at its own pace */
  readonly drift?: DriftSpec | undefined;
  /** The task that a source partition belongs to, e.g. `customer-3`; co-partitioned inputs share it. */
  taskOf(partition: TopicPartition): string;
  /**
   * Do its tasks see in what they have written where they went on? Committed offsets that are gone, with their topic for one,
   * do no harm then: a task begins where its sources say. @default no: they are asked for (OFFSETS_MISSING)
   */
  readonly outlivesOffsets?: boolean;
  /** Are these all inputs of their task? Without some of them its state would be wrong. @default always */
  isWhole?(partitions: readonly TopicPartition[]): boolean;
  createTask(id: string, partitions: readonly TopicPartition[]): StreamTask;
}

/** Tasks of one kind, as they describe themselves. */
export interface StageSpec {
  /** What the ids of its tasks begin with. */
  readonly name: string;
  /** What it does, in a few words. */
  readonly does: string;
  readonly reads: readonly string[];
  /** What its tasks hold, which recovery rebuilds from the log. */
  readonly keeps: readonly string[];
  /** Stores and services outside of the log that it reads or writes. */
  readonly uses?: readonly string[];
  /** Topics; the dead letters, which any stage may write, are left out. */
  readonly writes: readonly string[];
}

export interface SourceSpec {
  readonly topic: string;
  /**
   * Where a new group starts: `earliest` processes history live; `stored` requires committed offsets to be set at the
   * chosen start (history below is replayed silently). `joining` does so, too, in a new group; one that a group comes to
   * read later starts at its end: what it held by then builds state and is answered by nobody.
   */
  readonly start: 'earliest' | 'stored' | 'joining';
}

/** What parts of a state are built from. */
export interface NeededHistory {
  readonly topic: string;
  readonly parts: readonly { readonly identity: string; readonly name: string }[];
  /** Log time, ms: records of before count for nothing. */
  readonly appendedSince: number;
}

/** A record after parsing; `time` orders inputs of a task (for a block: the greatest time in it). */
export interface ParsedRecord<Content = unknown> {
  readonly record: LogRecord;
  readonly time: number;
  readonly content: Content;
}

/** What a task writes. During silent replay the runtime passes a sink that drops everything. */
export interface Output {
  emit(record: OutgoingRecord): void;
  /** Sets a record aside as poison: original bytes and headers to the dead-letter topic, in the same transaction. */
  deadLetter(record: LogRecord, error: unknown): void;
}

/**
 * State of a task must be a function of the records folded (in any order that keeps each partition's own order), never
 * of clocks, batching or scores.
 */
export interface StreamTask {
  /**
   * @throws TidemillError where the record can never be processed: it becomes a dead letter and counts as folded.
   */
  parse(record: LogRecord): ParsedRecord;
  /** Folds one record. `replay` is true in silent replay: state only. Errors thrown here are poison, too. */
  fold(parsed: ParsedRecord, output: Output, replay: boolean): void;
  /** Rows folded and waiting for `drain`. */
  readonly pendingRows: number;
  /** Does what is not part of the fold (scoring) and emits it. May be retried as a whole transaction. */
  drain(output: Output): Promise<void>;
  /**
   * Last outputs of a transaction: blocks that were being filled. Called once before offsets are sent.
   *
   * @param offsets that will be sent: where each input goes on, by partition name.
   * @param inputs how they stand.
   */
  flush(output: Output, offsets: ReadonlyMap<string, number>, inputs: readonly InputPace[]): void;
  /** After a successful commit: `offsets` are the next offsets by `topic-partition`. Evicts by the watermark. */
  committed(offsets: ReadonlyMap<string, number>): void;
  /**
   * Called now and then in a silent replay, which has no commits: gives up what no later record can need, so that a long
   * history takes no more memory than a short one. @default everything is held until the replay is over
   */
  forget?(): void;
  /**
   * Brings a store outside of the log to the state at the committed offsets. Called after a recovery, after every commit, and
   * about once a second while there is nothing to commit; nothing is folded meanwhile, so the state is exactly theirs. What
   * cannot be written now is left to a later call; an error that it throws ends the topology or starts a new recovery.
   *
   * @param hasCaughtUp has everything been folded that was in the log when the task recovered?
   * @param hasMore is there anything in the log now, as far as is known, that has not been folded?
   */
  settle?(offsets: ReadonlyMap<string, number>, hasCaughtUp: boolean, hasMore: boolean): Promise<void>;
  /** Entries changed since the last call, value null for deleted. Called right after `committed`, before any further fold. */
  snapshot(): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array | null }>;
  /**
   * Restores one snapshot entry, before any fold. False where it is of a part that the task does not have: it is deleted.
   *
   * @throws TidemillError STATE_CORRUPT
   */
  restore(key: Uint8Array, value: Uint8Array): boolean | void;
  /**
   * Where it is there, it is called instead of `restore`, once and before any fold: the task reads its snapshot by key, so
   * that its state may be larger than memory. @throws TidemillError STATE_CORRUPT
   */
  attach?(stored: StoredState): void;
  /** What the last call of `snapshot` gave is in the snapshot now. Never called in the midst of a fold. */
  snapshotWritten?(): void;
  /**
   * The encoded state of one key of a view, for inspection; null where the task has none, undefined where it does not keep the view.
   */
  stateOf?(view: string, key: Value): Uint8Array | null | undefined;
  /** Identity of the state's format and meaning: a snapshot with another one is discarded. */
  readonly stateIdentity: string;
  /** Parts of the state that are kept and rebuilt each by itself: identities of views. @default none */
  readonly parts?: readonly string[];
  /**
   * Says after a restore, before any fold, which parts the snapshot did not have; they are built from the start of the log.
   *
   * @returns from what.
   */
  lacks?(parts: ReadonlySet<string>): readonly NeededHistory[];
  /** Folds a record before the snapshot's offsets into the parts that it lacked, and into nothing else. */
  foldBefore?(parsed: ParsedRecord): void;
  /** What it does because time has passed. @default nothing */
  readonly timers?: TaskTimers | undefined;
  /** How far it is in the source that it reads, where the topology's tasks keep together. */
  readonly standing?: Omit<SourceStanding, 'task'> | undefined;
  /** What an operator should know of its state, in sentences: for status. @default nothing */
  readonly notes?: readonly string[];
  /** Watermark of the task as event time, where it has one: for status. */
  readonly watermark: number | null;
}
