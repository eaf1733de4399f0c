import { TidemillError } from '../../contracts/errors.js';
import type { EventId, Value } from '../../features/types.js';
import { AggregatePlan } from './aggregatePlan.js';
import { DueHeap } from './dueHeap.js';
import { RowStore } from './rowStore.js';
import {
  hasTextKey,
  KEY_CELL,
  REVISION_CELL,
  type StateEntry,
  type WindowSink,
  type WindowState,
  type WindowStateOptions,
} from './windowState.js';

/** Times of a session's first and last event. */
const FIRST_CELL = 2;
const LAST_CELL = 3;

/**
 * Sessions: a key's events whose neighbours are less than the gap apart. An event that comes between two sessions makes them
 * one, which goes by the earlier start:
 *
 *   gap 5m      10:01 ·· 10:03          10:09 ··     [10:01, 10:08)  [10:09, 10:14)
 *   10:06 ->    10:01 ·· 10:03 ·· 10:06 ·· 10:09     [10:01, 10:14)   10:09 is retracted where it had been told
 */
export class SessionWindows implements WindowState {
  watermark = Number.NEGATIVE_INFINITY;
  readonly plan: AggregatePlan;
  private readonly isText: boolean;
  private readonly gapMs: number;
  private readonly updates: boolean;
  private readonly reviseMs: number;
  private readonly store: RowStore;
  private readonly rowsOf = new Map<Value, number[]>();
  private readonly changed = new Set<number>();
  private readonly heap = new DueHeap();
  /** By row, the due of its entry that counts: any other entry of the row is out of date. */
  private readonly scheduled: number[] = [];

  constructor({ windows, fields }: WindowStateOptions) {
    if (windows.shape.kind !== 'session') throw new Error('invariant broken: these are no sessions');
    this.gapMs = windows.shape.gapMs;
    this.isText = hasTextKey(windows);
    this.plan = new AggregatePlan(windows.aggregates, fields, [0, -1, 0, 0], this.isText ? ['value'] : []);
    this.updates = windows.emit === 'onUpdate';
    this.reviseMs = windows.reviseMs;
    this.store = new RowStore(this.plan.layout);
  }

  get size(): { readonly rows: number } {
    let rows = 0;
    for (const own of this.rowsOf.values()) rows += own.length;
    return { rows };
  }

  fold(key: Value, time: number, id: EventId, values: readonly Value[], sink: WindowSink | null): void {
    const { store } = this;
    const row = this.sessionAt(key, time, sink);
    store.touch(row);
    this.plan.fold(store, row, values, time, id);
    const isClosed = this.endOf(row) <= this.watermark;
    if (this.updates || isClosed) {
      this.set(row, REVISION_CELL, this.cell(row, REVISION_CELL) + 1);
      if (sink !== null) this.changed.add(row);
    }
    this.schedule(row);
  }

  /** The session that an event belongs to, made, extended, or grown together of several. */
  private sessionAt(key: Value, time: number, sink: WindowSink | null): number {
    const own = this.rowsOf.get(key);
    const touched = (own ?? []).filter(
      (row) => time < this.cell(row, LAST_CELL) + this.gapMs && time > this.cell(row, FIRST_CELL) - this.gapMs,
    );
    if (own === undefined || touched.length === 0) return this.open(key, time, own);
    const into = touched.reduce((a, b) => (this.cell(a, FIRST_CELL) <= this.cell(b, FIRST_CELL) ? a : b));
    for (const row of touched) {
      if (row === into) continue;
      this.plan.merge(this.store, into, row);
      this.set(into, LAST_CELL, Math.max(this.cell(into, LAST_CELL), this.cell(row, LAST_CELL)));
      this.retract(key, row, sink);
      this.forget(key, row);
    }
    if (time < this.cell(into, FIRST_CELL)) {
      // It goes by another start from now on, and counts its revisions anew.
      this.retract(key, into, sink);
      this.set(into, REVISION_CELL, -1);
      this.set(into, FIRST_CELL, time);
    }
    this.set(into, LAST_CELL, Math.max(this.cell(into, LAST_CELL), time));
    return into;
  }

  private open(key: Value, time: number, own: number[] | undefined): number {
    const { store } = this;
    const row = store.add();
    if (this.isText) (store.columns[0] as Value[])[row] = key;
    else this.set(row, KEY_CELL, key as number);
    this.set(row, FIRST_CELL, time);
    this.set(row, LAST_CELL, time);
    this.scheduled[row] = Number.NaN;
    if (own === undefined) this.rowsOf.set(key, [row]);
    else own.push(row);
    return row;
  }

  private forget(key: Value, row: number): void {
    const own = this.rowsOf.get(key) as number[];
    if (own.length === 1) this.rowsOf.delete(key);
    else own.splice(own.indexOf(row), 1);
    this.changed.delete(row);
    this.scheduled[row] = Number.NaN;
    this.store.release(row);
  }

  private retract(key: Value, row: number, sink: WindowSink | null): void {
    const revision = this.cell(row, REVISION_CELL);
    if (revision >= 0) sink?.retract(key, this.cell(row, FIRST_CELL), this.endOf(row), revision + 1);
  }

  private schedule(row: number): void {
    const end = this.endOf(row);
    const due = end > this.watermark ? end : end + this.reviseMs;
    // An earlier entry finds out by itself that the session has grown.
    if ((this.scheduled[row] as number) <= due) return;
    this.scheduled[row] = due;
    this.heap.push(due, row);
  }

  advance(watermark: number, sink: WindowSink | null): void {
    if (watermark <= this.watermark) return;
    const before = this.watermark;
    this.watermark = watermark;
    while (this.heap.least <= watermark) {
      const due = this.heap.least;
      const row = this.heap.pop();
      if (this.scheduled[row] !== due) continue;
      this.scheduled[row] = Number.NaN;
      const end = this.endOf(row);
      if (end > due) {
        // It has grown since: its turn comes by its own end.
        this.scheduled[row] = end;
        this.heap.push(end, row);
        continue;
      }
      if (!this.updates && end > before && end <= watermark) this.close(row, sink);
      if (end + this.reviseMs > watermark) {
        this.schedule(row);
        continue;
      }
      if (sink !== null && this.changed.has(row)) this.tell(row, sink);
      this.forget(this.keyOf(row), row);
    }
  }

  private close(row: number, sink: WindowSink | null): void {
    this.set(row, REVISION_CELL, this.cell(row, REVISION_CELL) + 1);
    this.store.touch(row);
    this.changed.delete(row);
    if (sink !== null) this.tell(row, sink);
  }

  private tell(row: number, sink: WindowSink): void {
    const revision = this.cell(row, REVISION_CELL);
    sink.result(this.store, row, this.keyOf(row), this.cell(row, FIRST_CELL), this.endOf(row), revision);
  }

  flush(sink: WindowSink): void {
    for (const row of this.changed) this.tell(row, sink);
    this.changed.clear();
  }

  private keyOf(row: number): Value {
    return this.isText ? (this.store.columns[0]?.[row] as Value) : this.cell(row, KEY_CELL);
  }
  private endOf(row: number): number {
    return this.cell(row, LAST_CELL) + this.gapMs;
  }
  private cell(row: number, cell: number): number {
    return this.store.data[row * this.store.stride + cell] as number;
  }
  private set(row: number, cell: number, value: number): void {
    this.store.data[row * this.store.stride + cell] = value;
  }

  *snapshot(): Iterable<StateEntry> {
    for (const { page, value } of this.store.takePages()) yield { key: `w:${page}`, value };
  }

  restore(key: string, value: Uint8Array): void {
    const match = /^w:(\d+)$/.exec(key);
    if (match === null)
      throw new TidemillError('STATE_CORRUPT', `snapshot entry ${JSON.stringify(key)} belongs to nothing`, { key });
    this.store.restorePage(Number(match[1]), value, (row) => {
      const session = this.keyOf(row);
      const own = this.rowsOf.get(session);
      if (own === undefined) this.rowsOf.set(session, [row]);
      else own.push(row);
      // The watermark may not be restored yet: the first advance finds out what is due.
      this.scheduled[row] = this.endOf(row);
      this.heap.push(this.endOf(row), row);
    });
  }
}
