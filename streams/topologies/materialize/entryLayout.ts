import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import type { Value } from '../../../features/types.js';
import type { EntryWrite } from '../../../stores/online/onlineStore.js';

/** Events in a chunk at most; chunks that overflow are halved, so most hold about half as many or more. */
const MAX_CHUNK_EVENTS = 1_024;
/** Stands for the whole entry where the time of the earliest change is asked for. */
export const WHOLE = Number.NEGATIVE_INFINITY;

interface Layout {
  /** Offset at which the entry was last written by this task. */
  readonly offset: number;
  readonly starts: readonly number[];
}

/**
 * How entries lie in chunks: most keys have few events, and their one chunk is written whole. A hot key has many, and only
 * the chunks from the earliest change on are written:
 *
 *   starts   09:00        11:30        13:10          change at 13:40
 *   entry    ├── chunk ──┤├── chunk ──┤├── chunk ──▶  only the last is written, or the two that it is halved into
 */
export class EntryLayout {
  /** Only of keys with more than one chunk. */
  private readonly laidOut = new Map<Value, Layout>();

  constructor(private readonly operator: ViewOperator) {}

  /**
   * The write that brings an entry to the state at `offset`, and what to note once it is done.
   *
   * @param from time of the earliest change since the last write; WHOLE where that is not known.
   */
  plan(key: Value, from: number, offset: number): { readonly write: EntryWrite; readonly done: () => void } {
    const { operator } = this;
    const [firstTime] = operator.chunkStarts(key, WHOLE, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER);
    const known = from === WHOLE || firstTime === undefined ? undefined : this.laidOut.get(key);
    const starts = known?.starts ?? [];
    // What lies before the first event that is held was evicted.
    const kept = starts.filter((_, at) => (starts[at + 1] ?? Number.POSITIVE_INFINITY) > (firstTime ?? WHOLE));
    const first = Math.max(
      0,
      kept.findLastIndex((start) => start <= from),
    );
    const begin = first === 0 ? WHOLE : (kept[first] as number);
    const fresh = operator.chunkStarts(key, begin, Number.POSITIVE_INFINITY, MAX_CHUNK_EVENTS);
    const chunks = fresh.map((start, at) => ({
      start,
      bytes: operator.encodeRange(
        key,
        at === 0 ? begin : start,
        fresh[at + 1] ?? Number.POSITIVE_INFINITY,
      ) as Uint8Array,
    }));
    const next = [...kept.slice(0, first), ...fresh];
    const dropped = starts.filter((start) => !next.includes(start));
    return {
      write: { key, offset, base: known?.offset ?? null, chunks, dropped },
      done: () => {
        if (next.length > 1) this.laidOut.set(key, { offset, starts: next });
        else this.laidOut.delete(key);
      },
    };
  }

  /** The entry is not as this task left it, or nobody knows: it is written whole the next time. */
  forget(key: Value): void {
    this.laidOut.delete(key);
  }
}
