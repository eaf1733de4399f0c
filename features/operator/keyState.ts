import { compareIds } from '../order.js';
import type { EventId } from '../types.js';
import { DoubleQueue } from './doubleQueue.js';
import type { Cell, Layout, Window } from './layout.js';

/**
 * State of one key: its events in (time, id) order as columns, and for each window two cursors with running sums.
 *
 *            start        lo(w)              hi(w)      end
 *   columns:   |  expired  |  in the window   |  later   |
 *
 * Cursors only move forward while positions and arrivals do; anything else marks the window dirty and it is summed anew
 * from the columns. All indices are absolute in the columns; `compact` moves them down together.
 */
export class KeyState {
  start = 0;
  end = 0;
  times: Float64Array;
  ids: EventId[];
  partitions: Int32Array;
  offsets: Float64Array;
  tracks: Float64Array[];

  /** Per window: lo, hi. */
  readonly cursors: Float64Array;
  readonly dirty: Uint8Array;
  /** Per cell: count, low word, high word (value = high * 2^53 + low) of exact sums. */
  readonly sums: Float64Array;
  /** Per cell, doubles only. */
  readonly queues: (DoubleQueue | null)[];

  constructor(
    private readonly layout: Layout,
    capacity = 4,
  ) {
    this.times = new Float64Array(capacity);
    this.ids = [];
    this.partitions = new Int32Array(capacity);
    this.offsets = new Float64Array(capacity);
    this.tracks = layout.tracks.map(() => new Float64Array(capacity));
    this.cursors = new Float64Array(layout.windows.length * 2);
    this.dirty = new Uint8Array(layout.windows.length);
    this.sums = new Float64Array(layout.cells.length * 3);
    this.queues = layout.cells.map((cell) => (cell.isDouble ? new DoubleQueue() : null));
  }

  get length(): number {
    return this.end - this.start;
  }

  /** First index whose event is after (time, id); `id: null` means after every id of that time. */
  upperBound(time: number, id: EventId | null): number {
    let low = this.start;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.isAfter(middle, time, id)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private isAfter(index: number, time: number, id: EventId | null): boolean {
    const own = this.times[index] as number;
    if (own !== time) return own > time;
    return id !== null && compareIds(this.ids[index] as EventId, id) > 0;
  }

  /** First index whose event is not before (time, id). */
  lowerBound(time: number, id: EventId): number {
    let low = this.start;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const own = this.times[middle] as number;
      const isBefore = own !== time ? own < time : compareIds(this.ids[middle] as EventId, id) < 0;
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** First index whose event is of this time or later. */
  firstAt(time: number): number {
    let low = this.start;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.times[middle] as number) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Is there an event that came at this offset or later? The newest events are looked at first. */
  holdsSince(offset: number): boolean {
    for (let index = this.end - 1; index >= this.start; index--) {
      if ((this.offsets[index] as number) >= offset) return true;
    }
    return false;
  }

  /** Makes room at `index` and moves the cursors; the caller fills the columns. */
  insertAt(index: number): number {
    const at = this.makeRoom(index);
    for (let window = 0; window < this.layout.windows.length; window++) {
      const lo = this.cursors[window * 2] as number;
      const hi = this.cursors[window * 2 + 1] as number;
      if (at < lo) {
        // Before an expired event, so expired itself.
        this.cursors[window * 2] = lo + 1;
        this.cursors[window * 2 + 1] = hi + 1;
        if (this.hasDoubles) this.dirty[window] = 1;
      } else if (at < hi) {
        this.dirty[window] = 1;
      }
    }
    return at;
  }

  private get hasDoubles(): boolean {
    return this.queues.some((queue) => queue !== null);
  }

  private makeRoom(index: number): number {
    const capacity = this.times.length;
    if (this.end === capacity) {
      if (this.start > capacity >>> 1) {
        const moved = this.start;
        this.compact();
        return this.makeRoom(index - moved);
      }
      this.grow(capacity * 2);
    }
    if (index < this.end) {
      this.times.copyWithin(index + 1, index, this.end);
      this.partitions.copyWithin(index + 1, index, this.end);
      this.offsets.copyWithin(index + 1, index, this.end);
      for (const track of this.tracks) track.copyWithin(index + 1, index, this.end);
      this.ids.splice(index, 0, 0);
    }
    this.end++;
    return index;
  }

  /** Makes room for so many more events at the end. */
  reserve(events: number): void {
    const needed = this.end + events;
    if (needed > this.times.length) this.grow(Math.max(needed, this.times.length * 2));
  }

  private grow(capacity: number): void {
    this.times = grown(this.times, new Float64Array(capacity));
    this.partitions = grown(this.partitions, new Int32Array(capacity));
    this.offsets = grown(this.offsets, new Float64Array(capacity));
    this.tracks = this.tracks.map((track) => grown(track, new Float64Array(capacity)));
  }

  /** Moves the events to the front of the columns. */
  compact(): void {
    const by = this.start;
    if (by === 0) return;
    this.times.copyWithin(0, by, this.end);
    this.partitions.copyWithin(0, by, this.end);
    this.offsets.copyWithin(0, by, this.end);
    for (const track of this.tracks) track.copyWithin(0, by, this.end);
    this.ids.splice(0, by);
    this.start = 0;
    this.end -= by;
    for (let at = 0; at < this.cursors.length; at++) this.cursors[at] = Math.max(0, (this.cursors[at] as number) - by);
    for (const queue of this.queues) queue?.shift(by);
  }

  /** Drops events with time <= `until`; returns how many. */
  evict(until: number): number {
    let next = this.start;
    while (next < this.end && (this.times[next] as number) <= until) next++;
    const dropped = next - this.start;
    if (dropped === 0) return 0;
    for (let window = 0; window < this.layout.windows.length; window++) {
      // A cursor behind the first kept event still sums dropped ones.
      if ((this.cursors[window * 2] as number) < next) this.dirty[window] = 1;
    }
    this.start = next;
    if (this.start > this.times.length >>> 1) this.compact();
    return dropped;
  }

  /** Brings a window to [first event after `after`, `hi`) and its cells with it. */
  moveWindow(index: number, after: number, hi: number): void {
    const window = this.layout.windows[index] as Window;
    let lo = this.cursors[index * 2] as number;
    let reached = this.cursors[index * 2 + 1] as number;
    const wentBack =
      this.dirty[index] === 1 ||
      hi < reached ||
      lo < this.start ||
      (lo > this.start && (this.times[lo - 1] as number) > after);
    if (wentBack) {
      this.dirty[index] = 0;
      this.clear(window);
      lo = this.upperBound(after, null);
      reached = lo;
      for (const cell of window.cells) this.queues[cell]?.reset(lo);
    }
    for (; reached < hi; reached++) this.enter(window, reached);
    for (; lo < hi && (this.times[lo] as number) <= after; lo++) this.leave(window, lo);
    this.cursors[index * 2] = Math.min(lo, hi);
    this.cursors[index * 2 + 1] = hi;
  }

  private clear(window: Window): void {
    for (const cell of window.cells) {
      this.sums[cell * 3] = 0;
      this.sums[cell * 3 + 1] = 0;
      this.sums[cell * 3 + 2] = 0;
    }
  }

  private enter(window: Window, index: number): void {
    for (const at of window.cells) {
      const cell = this.layout.cells[at] as Cell;
      const value = (this.tracks[cell.track] as Float64Array)[index] as number;
      if (value !== value) continue;
      this.sums[at * 3] = (this.sums[at * 3] as number) + 1;
      if (cell.isDouble) (this.queues[at] as DoubleQueue).push(value);
      else this.addExact(at, value);
    }
  }

  private leave(window: Window, index: number): void {
    for (const at of window.cells) {
      const cell = this.layout.cells[at] as Cell;
      const value = (this.tracks[cell.track] as Float64Array)[index] as number;
      if (value !== value) continue;
      this.sums[at * 3] = (this.sums[at * 3] as number) - 1;
      if (!cell.isDouble) this.addExact(at, -value);
    }
  }

  private addExact(cell: number, value: number): void {
    const low = (this.sums[cell * 3 + 1] as number) + value;
    if (this.sums[cell * 3 + 2] === 0 && low <= Number.MAX_SAFE_INTEGER && low >= -Number.MAX_SAFE_INTEGER) {
      this.sums[cell * 3 + 1] = low;
      return;
    }
    const total = exactOf(this.sums, cell) + BigInt(value);
    if (total >= -MAX_SAFE && total <= MAX_SAFE) {
      this.sums[cell * 3 + 1] = Number(total);
      this.sums[cell * 3 + 2] = 0;
      return;
    }
    const rest = ((total % WORD) + WORD) % WORD;
    this.sums[cell * 3 + 1] = Number(rest);
    this.sums[cell * 3 + 2] = Number((total - rest) / WORD);
  }

  /** Non-null inputs in a cell's window. */
  countOf(cell: number): number {
    return this.sums[cell * 3] as number;
  }

  /** Sum of a cell as the nearest double; Infinity where a sum of doubles overflows. */
  sumOf(cell: number): number {
    const queue = this.queues[cell];
    if (queue !== null && queue !== undefined) {
      const { window, track } = this.layout.cells[cell] as Cell;
      return queue.sum(
        this.tracks[track] as Float64Array,
        this.cursors[window * 2] as number,
        this.cursors[window * 2 + 1] as number,
      );
    }
    return this.sums[cell * 3 + 2] === 0 ? (this.sums[cell * 3 + 1] as number) : Number(exactOf(this.sums, cell));
  }
}

const WORD = 1n << 53n;
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

function exactOf(sums: Float64Array, cell: number): bigint {
  return BigInt(sums[cell * 3 + 2] as number) * WORD + BigInt(sums[cell * 3 + 1] as number);
}

function grown<T extends Float64Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
