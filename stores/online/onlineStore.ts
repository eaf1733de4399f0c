import type { Value } from '../../features/types.js';

/**
 * The online store: the newest state of every key of a view, for readers that are no stream task. A port; Redis and LMDB are
 * its adapters.
 *
 * What is stored is state, not values: a reader computes the values for its own moment (StateReader). It lies outside of
 * the log's transactions, so every write is a compare-and-set that repeats harmlessly, and a mark says how far each
 * partition of the log has been written. What is lost is written again from the log.
 *
 *   view ─┬─ serving: generation 1
 *         ├─ generation 1 ─┬─ marks: partition 0 at offset 812, partition 1 at offset 790
 *         │                └─ entries: key 4711 at offset 655: chunk, chunk; …
 *         └─ generation 2: being rebuilt from the log beside it, until it has caught up
 */
export interface OnlineStore {
  /** Where it is, for messages: without password. */
  readonly place: string;

  /** The entries of keys in the generation that serves, in the order of `keys`; null for a key without one. */
  read(view: ViewIdentity, keys: readonly Value[]): Promise<OnlineRead>;

  /** How far a generation has been written, by partition. */
  marks(view: ViewIdentity, generation: number): Promise<ReadonlyMap<number, OnlineMark>>;

  /** The generation that readers see; null before there is a complete one. */
  serving(view: ViewIdentity): Promise<number | null>;

  /**
   * Writes entries, each for itself and all or nothing.
   *
   * @param sequence what of this writer must be in the store before. @default nothing
   * @throws TidemillError ONLINE_GENERATION_RETIRED where a later generation serves; ONLINE_UNAVAILABLE: what was written is unknown.
   */
  write(
    view: ViewIdentity,
    writer: OnlineWriter,
    writes: readonly EntryWrite[],
    sequence?: WriteSequence,
  ): Promise<WriteOutcome[]>;

  /**
   * Says that everything below the mark's offsets has been written.
   *
   * @param after the mark that this writer set or found last; null where there was none.
   * @param acknowledged entries that it has written since, by its sequence; the sequence ends with the mark. @default 0
   * @throws TidemillError ONLINE_GENERATION_RETIRED, ONLINE_UNAVAILABLE
   */
  mark(
    view: ViewIdentity,
    writer: OnlineWriter,
    mark: OnlineMark,
    after: MarkPlace | null,
    acknowledged?: number,
  ): Promise<MarkOutcome>;

  /**
   * Says that a partition of a generation has caught up with the one that serves, if its mark says so. When all have, readers
   * see the new generation, from one read to the next.
   *
   * @throws TidemillError ONLINE_GENERATION_RETIRED, ONLINE_UNAVAILABLE
   */
  serve(view: ViewIdentity, writer: OnlineWriter, partitions: number): Promise<ServeOutcome>;

  /** Removes a generation that does not serve. */
  drop(view: ViewIdentity, generation: number): Promise<void>;

  /**
   * Removes a view that nobody reads any more, with all of its generations. Whoever still writes it leaves entries that
   * nobody sees: all writers are stopped first.
   */
  remove(view: ViewIdentity): Promise<void>;

  close(): Promise<void>;
}

/** A version of a view: another definition has another hash, and entries of its own. */
export interface ViewIdentity {
  readonly project: string;
  readonly name: string;
  readonly hash: string;
}

/** Who writes: one task of one generation. */
export interface OnlineWriter {
  readonly generation: number;
  readonly partition: number;
  /** Unique to one life of the task: chunks are changed by him alone who laid them out. */
  readonly name: string;
}

export interface OnlineRead {
  /** Null: nothing is served yet. */
  readonly generation: number | null;
  readonly entries: readonly (OnlineEntry | null)[];
  /** How far that generation has been written, by partition. */
  readonly marks: ReadonlyMap<number, OnlineMark>;
}

export interface OnlineEntry {
  readonly partition: number;
  /** The state is that of every record of the partition below this offset. */
  readonly offset: number;
  /** Encoded events, in order. */
  readonly chunks: readonly Uint8Array[];
}

export interface OnlineMark {
  /** Offset in the view's stream below which everything is written. */
  readonly offset: number;
  /** The same in the topic of corrections. */
  readonly corrections: number;
  /** Event time up to which events may be forgotten: positions before it are not answered. Null before the first event. */
  readonly watermark: number | null;
  /** Greatest event time written; null before the first event. */
  readonly newest: number | null;
  /** When the writer last found everything written that it had folded, ms UTC by its clock. */
  readonly confirmedAt: number;
  /**
   * Everything that had been appended to the stream by then is written, ms UTC: now, or while there is more to fold the time at
   * which the newest record of what is written was appended. Null where that is not known; marks of before have none.
   */
  readonly completeAt?: number | null;
}

/** How far a mark says that its partition is written. */
export type MarkPlace = Pick<OnlineMark, 'offset' | 'corrections'>;

/**
 * Place of entries among those that a writer has sent since its mark. What a server has answered may be gone all the same: a
 * replica takes over that had not heard of it yet, or one starts again that had not come to its disk. What is lost is the
 * newest, so it shows in how far the sequence is.
 */
export interface WriteSequence {
  /** So many of them have been answered: they must be there. */
  readonly acknowledged: number;
  /** So many of them have been sent before these, answered or not. */
  readonly sent: number;
}

export interface EntryWrite {
  readonly key: Value;
  readonly offset: number;
  /** Offset in the topic of corrections: of states at one offset the one with more of them is the later. @default 0 */
  readonly corrections?: number;
  /**
   * Null: the chunks are the whole entry, and none removes it. Else they replace those of equal start in the entry that the
   * same writer wrote at this offset.
   */
  readonly base: number | null;
  /** Each by the time at which it starts. */
  readonly chunks: readonly { readonly start: number; readonly bytes: Uint8Array }[];
  /** Starts of chunks that are there no more. */
  readonly dropped: readonly number[];
}

export type WriteOutcome =
  | 'written'
  /** The entry is a later one. */
  | 'stale'
  /** The entry is not the base: gone, or written by somebody else. It must be written whole. */
  | 'changed'
  /** Not written: what this writer had written since its mark is gone, or some of it, and must be written again. */
  | 'lost';

export type MarkOutcome =
  | 'marked'
  /** The mark is gone, or earlier than `after`, or what was written since is: so are entries, and they must be written again. */
  | 'lost'
  /** The mark is a later one: somebody else writes this partition. */
  | 'stale';

/** Generations that were replaced are named until they are removed, whoever replaced them. */
export type ServeOutcome =
  | { readonly kind: 'serving'; readonly replaced: readonly number[] }
  /** This call made it so. */
  | { readonly kind: 'switched'; readonly replaced: readonly number[] }
  /** Other partitions, or this one, have yet to catch up. */
  | { readonly kind: 'behind' };
