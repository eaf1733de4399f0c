import type { EventId, Value } from '../types.js';
import type { CompiledView } from '../compiledView.js';

/** What became of an event that was offered to the state. */
export type InsertResult =
  /** New: it is in the state now. */
  | 'inserted'
  /** The state holds this very record (same partition and offset): a re-read after a failed commit. */
  | 'replayed'
  /** The state holds an event with the same key, time and id that came at a lower (partition, offset). */
  | 'duplicate'
  /** Older than everything that any window can still see; not kept. */
  | 'expired';

/**
 * Incremental state of one view in one task: a set of events per key, and values at any position that the kept events
 * can answer. Window state is a set, so the order of arrival changes nothing, and a position behind the newest event is
 * answered exactly.
 *
 * @example window 2 d, events of one key at day 1, 2 and 4. At day 4 + 1 h their ages are 3 d 1 h, 2 d 1 h and 1 h: only
 * the last is below 2 d, so count is 1. At day 3 (a past position) the event at day 2 counts, day 4 is not visible yet.
 */
export interface ViewOperator {
  readonly view: CompiledView;
  /** Number of keys and of events held. */
  readonly size: { readonly keys: number; readonly events: number };

  /**
   * Folds one event. `values` are the fields of the view's stream in order and may be reused by the caller afterwards.
   * @param key value of the entity; null keys belong to no entity and are not folded ('expired').
   */
  insert(
    key: Value,
    time: number,
    id: EventId,
    values: readonly Value[],
    partition: number,
    offset: number,
  ): InsertResult;

  /**
   * Writes the features at position (time, id) to `out[start..]` in the order of `view.features`, as a vector: NaN for
   * null, 0 or 1 for bool, value / 10^s for decimals; and, where given, the index into STATUSES to `statuses[start..]`.
   * @param id id of the request, where it is an event of the view's own stream; else null.
   * `ownStream` tells whether the position belongs to the view's own stream (rule 2: e < p, or e <= p with
   * includeRequest) or to another (e.time <= t).
   */
  valuesAt(
    key: Value,
    time: number,
    id: EventId | null,
    ownStream: boolean,
    out: Float64Array,
    start: number,
    statuses?: Uint8Array,
  ): void;

  /** Age in ms of the latest visible event within `keep` at the position, or null. */
  ageAt(key: Value, time: number, id: EventId | null, ownStream: boolean): number | null;

  /** Forgets events that no position at or after `watermark` can see. Called at commits only. */
  evict(watermark: number): void;

  /**
   * Keys changed since the last call, each with the time of its earliest change: Infinity where events were evicted alone. A
   * key that holds nothing any more encodes as null.
   */
  takeChanges(): ReadonlyMap<Value, number>;

  /** The one binary encoding of a key's state, used by snapshots, online stores and the API. */
  encodeKey(key: Value): Uint8Array | null;
  /** The same for the key's events with times in [from, until) alone: a chunk; null where there are none. */
  encodeRange(key: Value, from: number, until: number): Uint8Array | null;
  /**
   * Times at which the chunks begin, in order, when the key's events with times in [from, until) are cut evenly into chunks of
   * at most `maxEvents`; events of equal time stay together, so a chunk may hold more. Empty where there are no events.
   */
  chunkStarts(key: Value, from: number, until: number, maxEvents: number): number[];
  /** Is there an event of the key? */
  has(key: Value): boolean;
  /** Keys with an event that came at this offset or later: what was folded since, whoever folded it. */
  keysSince(offset: number): Value[];
  /**
   * Replaces what is held of a key.
   * @param chunks its encoding, or the chunks that it was cut into, in order.
   * @throws TidemillError STATE_CORRUPT where bytes are not such an encoding of this view.
   */
  decodeKey(key: Value, ...chunks: readonly Uint8Array[]): void;
  /**
   * Adds the events of a chunk, all of which come after what is held of the key.
   * @throws TidemillError STATE_CORRUPT, also where they come before.
   */
  appendChunk(key: Value, chunk: Uint8Array): void;
  /** All keys held. */
  keys(): IterableIterator<Value>;
}
