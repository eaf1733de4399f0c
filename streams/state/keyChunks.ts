import type { ViewOperator } from '../../features/operator/viewOperator.js';
import type { Value } from '../../features/types.js';

/** Stands for the whole key where the time of the earliest change is asked for. */
export const WHOLE = Number.NEGATIVE_INFINITY;

/** How the stored state of a key changes. */
export interface ChunkPlan {
  /** Chunks to write, by the time of their first event. */
  readonly chunks: readonly { readonly start: number; readonly bytes: Uint8Array }[];
  /** Starts of chunks that are no more. */
  readonly dropped: readonly number[];
  /** Starts of all chunks once that is done; empty where nothing is held of the key. */
  readonly starts: readonly number[];
}

/**
 * How the events of keys lie in chunks where they are stored: most keys have few events, and their one chunk is written
 * whole. A hot key has many, and only the chunks from the earliest change on are written:
 *
 *   starts   09:00        11:30        13:10          change at 13:40
 *   key      ├── chunk ──┤├── chunk ──┤├── chunk ──▶  only the last is written, or the two that it is halved into
 */
export class KeyChunks {
  /** Only of keys whose chunks are known. */
  private readonly laidOut = new Map<Value, readonly number[]>();

  constructor(
    private readonly operator: ViewOperator,
    private readonly maxEvents: number,
  ) {}

  /** Starts of the chunks in which a key is stored, as it was noted; empty where nothing was. */
  startsOf(key: Value): readonly number[] {
    return this.laidOut.get(key) ?? [];
  }

  /**
   * What brings the stored key to the state held now; `note` it once that is stored.
   *
   * @param from time of the earliest change since the last plan that was noted, Infinity where events were evicted alone; WHOLE
   * where that is not known, and everything is written.
   */
  plan(key: Value, from: number): ChunkPlan {
    const before = this.startsOf(key);
    // Most keys have one chunk, which is written whole: nothing has to be looked for.
    const kept = before.length === 0 ? before : this.heldOf(key, before);
    const first = Math.max(
      0,
      kept.findLastIndex((start) => start <= from),
    );
    const begin = first === 0 ? WHOLE : (kept[first] as number);
    const fresh = this.operator.chunkStarts(key, begin, Number.POSITIVE_INFINITY, this.maxEvents);
    const chunks = fresh.map((start, at) => ({
      start,
      bytes: this.operator.encodeRange(
        key,
        at === 0 ? begin : start,
        fresh[at + 1] ?? Number.POSITIVE_INFINITY,
      ) as Uint8Array,
    }));
    const starts = [...kept.slice(0, first), ...fresh];
    return { chunks, dropped: before.filter((start) => !starts.includes(start)), starts };
  }

  /** The chunks that still have events: what lies before the first event that is held was evicted. */
  private heldOf(key: Value, starts: readonly number[]): readonly number[] {
    const [firstTime = Number.POSITIVE_INFINITY] = this.operator.chunkStarts(
      key,
      WHOLE,
      Number.POSITIVE_INFINITY,
      Number.MAX_SAFE_INTEGER,
    );
    return starts.filter((_, at) => (starts[at + 1] ?? Number.POSITIVE_INFINITY) > firstTime);
  }

  /** The key is stored in chunks that begin there. One that is stored as a whole needs no note. */
  note(key: Value, starts: readonly number[]): void {
    this.laidOut.set(key, starts);
  }

  /** Nobody knows how the key is stored: it is written whole the next time. */
  forget(key: Value): void {
    this.laidOut.delete(key);
  }
}
