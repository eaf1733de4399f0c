import { compareIds } from '../order.js';
import type { EventId } from '../types.js';
import { doubleArray } from './doubleArray.js';
import { DoubleQueue } from './doubleQueue.js';
import { addExact, clearSum, exactSum, SUM_NUMBERS } from './exactSum.js';
import { OFFSET, PARTITION, TIME, TRACKS, type Cell, type Layout, type Window } from './layout.js';

/** Numbers of a window: its cursors, and whether it must be summed anew. */
const [LO, HI, DIRTY, WINDOW_NUMBERS] = [0, 1, 2, 3];
/** Numbers of a cell: the count, then the words of its exact sum. */
const [COUNT, SUM, CELL_NUMBERS] = [0, 1, 1 + SUM_NUMBERS];
const NO_QUEUES: readonly (DoubleQueue | null)[] = [];
const FIRST_CAPACITY = 2;

/**
 * State of one key: its events in (time, id) order, and for each window two cursors with running sums.
 *
 *            start        lo(w)              hi(w)      end
 *   events:    |  expired  |  in the window   |  later   |
 *
 * Cursors only move forward while positions and arrivals do; anything else marks the window dirty and it is summed anew
 * from the events. All indices are absolute; `compact` moves them down together.
 *
 * There may be a million of these, most with a few events: numbers lie in two arrays of doubles on the heap, which cost a
 * quarter of as many typed arrays.
 */
export class KeyState {
  start = 0;
  end = 0;
  readonly ids: EventId[] = [];
  /** `stride` numbers per event. */
  private rows: number[];
  /** Of each window, then of each cell. */
  private readonly numbers: number[];
  /** Per cell, doubles only. */
  private readonly queues: readonly (DoubleQueue | null)[];

  constructor(
    private readonly layout: Layout,
    capacity = FIRST_CAPACITY,
  ) {
    const { windows, cells, stride } = layout;
    this.rows = doubleArray(capacity * stride);
    this.numbers = doubleArray(windows.length * WINDOW_NUMBERS + cells.length * CELL_NUMBERS);
    this.queues = layout.hasDoubles ? cells.map(({ isDouble }) => (isDouble ? new DoubleQueue() : null)) : NO_QUEUES;
  }

  timeAt(index: number): number {
    return this.rows[index * this.layout.stride + TIME] as number;
  }

  partitionAt(index: number): number {
    return this.rows[index * this.layout.stride + PARTITION] as number;
  }

  offsetAt(index: number): number {
    return this.rows[index * this.layout.stride + OFFSET] as number;
  }

  trackAt(index: number, track: number): number {
    return this.rows[index * this.layout.stride + TRACKS + track] as number;
  }

  /** Writes where an event lies; the tracks are written by `setTrack`. */
  set(index: number, time: number, id: EventId, partition: number, offset: number): void {
    const at = index * this.layout.stride;
    this.ids[index] = id;
    this.rows[at + TIME] = time;
    this.rows[at + PARTITION] = partition;
    this.rows[at + OFFSET] = offset;
  }

  setTrack(index: number, track: number, value: number): void {
    this.rows[index * this.layout.stride + TRACKS + track] = value;
  }

  /** All windows are summed anew. */
  spoil(): void {
    for (let window = 0; window < this.layout.windows.length; window++)
      this.numbers[window * WINDOW_NUMBERS + DIRTY] = 1;
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
    const own = this.timeAt(index);
    if (own !== time) return own > time;
    return id !== null && compareIds(this.ids[index] as EventId, id) > 0;
  }

  /** First index whose event is not before (time, id). */
  lowerBound(time: number, id: EventId): number {
    let low = this.start;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const own = this.timeAt(middle);
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
      if (this.timeAt(middle) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Is there an event that came at this offset or later? The newest events are looked at first. */
  holdsSince(offset: number): boolean {
    for (let index = this.end - 1; index >= this.start; index--) {
      if (this.offsetAt(index) >= offset) return true;
    }
    return false;
  }

  /** Makes room at `index` and moves the cursors; the caller writes the event. */
  insertAt(index: number): number {
    const at = this.makeRoom(index);
    const { numbers } = this;
    for (let window = 0; window < this.layout.windows.length; window++) {
      const place = window * WINDOW_NUMBERS;
      const lo = numbers[place + LO] as number;
      const hi = numbers[place + HI] as number;
      if (at < lo) {
        // Before an expired event, so expired itself.
        numbers[place + LO] = lo + 1;
        numbers[place + HI] = hi + 1;
        if (this.layout.hasDoubles) numbers[place + DIRTY] = 1;
      } else if (at < hi) {
        numbers[place + DIRTY] = 1;
      }
    }
    return at;
  }

  private makeRoom(index: number): number {
    const { stride } = this.layout;
    const capacity = this.rows.length / stride;
    if (this.end === capacity) {
      if (this.start > capacity >>> 1) {
        const moved = this.start;
        this.compact();
        return this.makeRoom(index - moved);
      }
      this.rows = this.rows.concat(this.rows);
    }
    if (index < this.end) {
      const { rows } = this;
      // Late events come near the end, so few are moved.
      for (let at = this.end * stride - 1; at >= index * stride; at--) rows[at + stride] = rows[at] as number;
      this.ids.splice(index, 0, 0);
    }
    this.end++;
    return index;
  }

  /** Makes room for so many more events at the end. */
  reserve(events: number): void {
    const needed = (this.end + events) * this.layout.stride;
    while (this.rows.length < needed) this.rows = this.rows.concat(this.rows);
  }

  /** Moves the events to the front. */
  compact(): void {
    const by = this.start;
    if (by === 0) return;
    const { rows, numbers } = this;
    const { stride, windows } = this.layout;
    for (let from = by * stride, to = 0; from < this.end * stride; from++, to++) rows[to] = rows[from] as number;
    this.ids.splice(0, by);
    this.start = 0;
    this.end -= by;
    for (let window = 0; window < windows.length; window++) {
      const place = window * WINDOW_NUMBERS;
      numbers[place + LO] = Math.max(0, (numbers[place + LO] as number) - by);
      numbers[place + HI] = Math.max(0, (numbers[place + HI] as number) - by);
    }
    for (const queue of this.queues) queue?.shift(by);
  }

  /** Drops events with time <= `until`; returns how many. */
  evict(until: number): number {
    let next = this.start;
    while (next < this.end && this.timeAt(next) <= until) next++;
    const dropped = next - this.start;
    if (dropped === 0) return 0;
    for (let window = 0; window < this.layout.windows.length; window++) {
      const place = window * WINDOW_NUMBERS;
      // A cursor behind the first kept event still sums dropped ones.
      if ((this.numbers[place + LO] as number) < next) this.numbers[place + DIRTY] = 1;
    }
    this.start = next;
    if (this.start > this.rows.length / this.layout.stride / 2) this.compact();
    return dropped;
  }

  /** Brings a window to [first event after `after`, `hi`) and its cells with it. */
  moveWindow(index: number, after: number, hi: number): void {
    const window = this.layout.windows[index] as Window;
    const { numbers } = this;
    const place = index * WINDOW_NUMBERS;
    let lo = numbers[place + LO] as number;
    let reached = numbers[place + HI] as number;
    const wentBack =
      numbers[place + DIRTY] === 1 ||
      hi < reached ||
      lo < this.start ||
      (lo > this.start && this.timeAt(lo - 1) > after);
    if (wentBack) {
      numbers[place + DIRTY] = 0;
      this.clear(window);
      lo = this.upperBound(after, null);
      reached = lo;
      for (const cell of window.cells) this.queues[cell]?.reset(lo);
    }
    for (; reached < hi; reached++) this.enter(window, reached);
    for (; lo < hi && this.timeAt(lo) <= after; lo++) this.leave(window, lo);
    numbers[place + LO] = Math.min(lo, hi);
    numbers[place + HI] = hi;
  }

  /** Where the numbers of a cell begin. */
  private placeOf(cell: number): number {
    return this.layout.windows.length * WINDOW_NUMBERS + cell * CELL_NUMBERS;
  }

  private clear(window: Window): void {
    for (const cell of window.cells) {
      const place = this.placeOf(cell);
      this.numbers[place + COUNT] = 0;
      clearSum(this.numbers, place + SUM);
    }
  }

  private enter(window: Window, index: number): void {
    for (const at of window.cells) {
      const cell = this.layout.cells[at] as Cell;
      const value = this.trackAt(index, cell.track);
      if (value !== value) continue;
      const place = this.placeOf(at);
      this.numbers[place + COUNT] = (this.numbers[place + COUNT] as number) + 1;
      if (cell.isDouble) (this.queues[at] as DoubleQueue).push(value);
      else addExact(this.numbers, place + SUM, value);
    }
  }

  private leave(window: Window, index: number): void {
    for (const at of window.cells) {
      const cell = this.layout.cells[at] as Cell;
      const value = this.trackAt(index, cell.track);
      if (value !== value) continue;
      const place = this.placeOf(at);
      this.numbers[place + COUNT] = (this.numbers[place + COUNT] as number) - 1;
      if (!cell.isDouble) addExact(this.numbers, place + SUM, -value);
    }
  }

  /** Non-null inputs in a cell's window. */
  countOf(cell: number): number {
    return this.numbers[this.placeOf(cell) + COUNT] as number;
  }

  /** Sum of a cell as the nearest double; Infinity where a sum of doubles overflows. */
  sumOf(cell: number): number {
    const { numbers, queues, rows } = this;
    const queue = queues[cell];
    if (queue !== null && queue !== undefined) {
      const { window, track } = this.layout.cells[cell] as Cell;
      const place = window * WINDOW_NUMBERS;
      const [lo, hi] = [numbers[place + LO] as number, numbers[place + HI] as number];
      return queue.sum(rows, this.layout.stride, TRACKS + track, lo, hi);
    }
    return exactSum(numbers, this.placeOf(cell) + SUM);
  }
}
