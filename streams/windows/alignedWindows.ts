import { TidemillError } from '../../contracts/errors.js';
import type { WindowShape } from '../../features/compiledWindows.js';
import type { EventId, Value } from '../../features/types.js';
import { AggregatePlan } from './aggregatePlan.js';
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

/** All keys of the windows that end at one time. */
interface Bucket {
  readonly start: number;
  readonly end: number;
  readonly store: RowStore;
  readonly rowOf: Map<Value, number>;
  /** Rows to be told about at the next flush. */
  readonly changed: Set<number>;
}

/**
 * Tumbling and hopping windows. One bucket for each end holds the rows of all keys, so that a window closes and is
 * forgotten as a whole:
 *
 *   end 10:01   closed, kept while late events may revise it
 *   end 10:02   open          <- watermark 10:01:20
 *   end 10:03   open
 */
export class AlignedWindows implements WindowState {
  watermark = Number.NEGATIVE_INFINITY;
  readonly plan: AggregatePlan;
  private readonly isText: boolean;
  private readonly shape: Extract<WindowShape, { kind: 'aligned' }>;
  private readonly updates: boolean;
  private readonly reviseMs: number;
  private readonly buckets = new Map<number, Bucket>();
  /** Most events fall where the one before fell. */
  private latest: Bucket | null = null;
  /** Watermark at which the next bucket closes or goes. */
  private nextDue = Number.POSITIVE_INFINITY;
  private readonly deleted: string[] = [];

  constructor({ windows, fields }: WindowStateOptions) {
    if (windows.shape.kind !== 'aligned') throw new Error('invariant broken: sessions are not aligned');
    this.shape = windows.shape;
    this.isText = hasTextKey(windows);
    this.plan = new AggregatePlan(windows.aggregates, fields, [0, -1], this.isText ? ['value'] : []);
    this.updates = windows.emit === 'onUpdate';
    this.reviseMs = windows.reviseMs;
  }

  get size(): { readonly rows: number } {
    let rows = 0;
    for (const { store } of this.buckets.values()) rows += store.length;
    return { rows };
  }

  fold(key: Value, time: number, id: EventId, values: readonly Value[], sink: WindowSink | null): void {
    const { lengthMs, everyMs } = this.shape;
    const next = Math.floor(time / everyMs) * everyMs + everyMs;
    for (let end = next; end - lengthMs <= time; end += everyMs) {
      const bucket = this.latest !== null && this.latest.end === end ? this.latest : this.bucketOf(end);
      this.foldInto(bucket, key, time, id, values, sink);
    }
  }

  private foldInto(
    bucket: Bucket,
    key: Value,
    time: number,
    id: EventId,
    values: readonly Value[],
    sink: WindowSink | null,
  ): void {
    const { store, rowOf } = bucket;
    let row = rowOf.get(key);
    if (row === undefined) {
      row = store.add();
      rowOf.set(key, row);
      if (this.isText) (store.columns[0] as Value[])[row] = key;
      else store.data[row * store.stride + KEY_CELL] = key as number;
    } else store.touch(row);
    this.plan.fold(store, row, values, time, id);
    if (!this.updates && bucket.end > this.watermark) return;
    const revision = row * store.stride + REVISION_CELL;
    store.data[revision] = (store.data[revision] as number) + 1;
    if (sink !== null) bucket.changed.add(row);
  }

  private bucketOf(end: number): Bucket {
    let bucket = this.buckets.get(end);
    if (bucket === undefined) {
      const store = new RowStore(this.plan.layout);
      bucket = { start: end - this.shape.lengthMs, end, store, rowOf: new Map(), changed: new Set() };
      this.buckets.set(end, bucket);
      this.nextDue = Math.min(this.nextDue, this.dueOf(bucket));
    }
    this.latest = bucket;
    return bucket;
  }

  private dueOf({ end }: Bucket): number {
    return end > this.watermark ? end : end + this.reviseMs;
  }

  advance(watermark: number, sink: WindowSink | null): void {
    if (watermark <= this.watermark) return;
    const before = this.watermark;
    this.watermark = watermark;
    if (watermark < this.nextDue) return;
    this.nextDue = Number.POSITIVE_INFINITY;
    for (const bucket of [...this.buckets.values()].sort((a, b) => a.end - b.end)) {
      const { end } = bucket;
      if (!this.updates && end > before && end <= watermark) this.close(bucket, sink);
      if (end + this.reviseMs <= watermark) this.drop(bucket, sink);
      else this.nextDue = Math.min(this.nextDue, this.dueOf(bucket));
    }
  }

  private close(bucket: Bucket, sink: WindowSink | null): void {
    const { store } = bucket;
    for (let row = 0; row < store.length; row++) {
      store.data[row * store.stride + REVISION_CELL] = 0;
      store.touch(row);
      if (sink !== null) this.tell(bucket, row, sink);
    }
  }

  private drop(bucket: Bucket, sink: WindowSink | null): void {
    if (sink !== null) this.tellChanged(bucket, sink);
    for (let page = 0; page < bucket.store.pagesStored; page++) this.deleted.push(`w${bucket.end}:${page}`);
    this.buckets.delete(bucket.end);
    if (this.latest === bucket) this.latest = null;
  }

  private tell({ store, start, end }: Bucket, row: number, sink: WindowSink): void {
    const base = row * store.stride;
    const key = this.isText ? (store.columns[0]?.[row] as Value) : (store.data[base + KEY_CELL] as number);
    sink.result(store, row, key, start, end, store.data[base + REVISION_CELL] as number);
  }

  private tellChanged(bucket: Bucket, sink: WindowSink): void {
    for (const row of bucket.changed) this.tell(bucket, row, sink);
    bucket.changed.clear();
  }

  flush(sink: WindowSink): void {
    if (!this.updates && this.reviseMs === 0) return;
    for (const bucket of this.buckets.values()) this.tellChanged(bucket, sink);
  }

  *snapshot(): Iterable<StateEntry> {
    for (const key of this.deleted.splice(0)) yield { key, value: null };
    for (const { end, store } of this.buckets.values())
      for (const { page, value } of store.takePages()) yield { key: `w${end}:${page}`, value };
  }

  restore(key: string, value: Uint8Array): void {
    const match = /^w(-?\d+):(\d+)$/.exec(key);
    if (match === null)
      throw new TidemillError('STATE_CORRUPT', `snapshot entry ${JSON.stringify(key)} belongs to nothing`, { key });
    const { store, rowOf } = this.bucketOf(Number(match[1]));
    store.restorePage(Number(match[2]), value, (row) => {
      rowOf.set(this.isText ? (store.columns[0]?.[row] as Value) : (store.data[row * store.stride] as number), row);
    });
  }
}
