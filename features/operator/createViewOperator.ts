import type { CompiledView } from '../compiledView.js';
import { compileExpression, evaluate, type CompiledExpression } from '../evaluate.js';
import { compareIds } from '../order.js';
import { statusOf } from '../status.js';
import { STATUSES, type EventId, type Value } from '../types.js';
import { toVectorNumber } from '../vector.js';
import { appendState, decodeState, encodeState } from './encodeState.js';
import { KeyState } from './keyState.js';
import { layoutOf, type Layout, type Reader, type Track, type Window } from './layout.js';
import type { InsertResult, ViewOperator } from './viewOperator.js';

/** Incremental state and values of a view; see ViewOperator. */
export function createViewOperator(view: CompiledView): ViewOperator {
  return new IncrementalOperator(view);
}

/** How one feature is read: straight from a cell, or through its expression. */
interface FeatureReader {
  /** Aggregation read as it is; -1 where `run` computes the value. */
  readonly plain: number;
  readonly run: CompiledExpression;
  /** Vector number that stands in for null. */
  readonly fallback: number;
}

class IncrementalOperator implements ViewOperator {
  private readonly layout: Layout;
  private readonly states = new Map<Value, KeyState>();
  private readonly features: readonly FeatureReader[];
  private readonly needsAggregates: boolean;
  private readonly aggregates: Value[];
  private changes = new Map<Value, number>();
  private events = 0;
  private watermark = Number.NEGATIVE_INFINITY;
  private sweptAt = Number.NEGATIVE_INFINITY;

  constructor(readonly view: CompiledView) {
    this.layout = layoutOf(view);
    this.features = view.features.map(({ type, value, orElse }) => ({
      plain: value.op === 'aggregate' ? value.index : -1,
      run: compileExpression(value, []),
      fallback: orElse === null ? Number.NaN : toVectorNumber(type, evaluate(orElse, noFields)),
    }));
    this.needsAggregates = this.features.some((feature) => feature.plain === -1);
    this.aggregates = view.aggregations.map(() => null);
  }

  get size(): { keys: number; events: number } {
    return { keys: this.states.size, events: this.events };
  }

  keys(): IterableIterator<Value> {
    return this.states.keys();
  }

  insert(
    key: Value,
    time: number,
    id: EventId,
    values: readonly Value[],
    partition: number,
    offset: number,
  ): InsertResult {
    if (key === null || time <= this.watermark - this.view.keepMs) return 'expired';
    let state = this.states.get(key);
    if (state === undefined) {
      state = new KeyState(this.layout);
      this.states.set(key, state);
    }
    let index = state.end;
    if (index > state.start) {
      const last = index - 1;
      const lastTime = state.timeAt(last);
      // In order is the common case; everything else is found by bisection.
      if (time < lastTime || (time === lastTime && compareIds(id, state.ids[last] as EventId) <= 0)) {
        index = state.lowerBound(time, id);
        if (index < state.end && state.timeAt(index) === time && compareIds(state.ids[index] as EventId, id) === 0) {
          return this.meet(state, index, key, values, partition, offset);
        }
      }
    }
    const at = state.insertAt(index);
    this.fill(state, at, time, id, values, partition, offset);
    this.events++;
    this.changed(key, time);
    if (state.timeAt(state.start) <= this.watermark - this.view.keepMs) {
      this.events -= state.evict(this.watermark - this.view.keepMs);
    }
    return 'inserted';
  }

  /** Two records of one event: that of lowest (partition, offset) counts. */
  private meet(
    state: KeyState,
    index: number,
    key: Value,
    values: readonly Value[],
    partition: number,
    offset: number,
  ): InsertResult {
    const order = partition - state.partitionAt(index) || offset - state.offsetAt(index);
    if (order === 0) return 'replayed';
    if (order > 0) return 'duplicate';
    const time = state.timeAt(index);
    this.fill(state, index, time, state.ids[index] as EventId, values, partition, offset);
    state.spoil();
    this.changed(key, time);
    return 'inserted';
  }

  private fill(
    state: KeyState,
    at: number,
    time: number,
    id: EventId,
    values: readonly Value[],
    partition: number,
    offset: number,
  ): void {
    state.set(at, time, id, partition, offset);
    const { tracks } = this.layout;
    for (let track = 0; track < tracks.length; track++) {
      state.setTrack(at, track, (tracks[track] as Track).read(values));
    }
  }

  valuesAt(
    key: Value,
    time: number,
    id: EventId | null,
    ownStream: boolean,
    out: Float64Array,
    start: number,
    statuses?: Uint8Array,
  ): void {
    const state = key === null ? undefined : this.states.get(key);
    if (state === undefined) {
      this.writeEmpty(out, start, statuses);
      return;
    }
    const visibleEnd = this.visibleEnd(state, time, id, ownStream);
    const { windows, readers } = this.layout;
    for (let index = 0; index < windows.length; index++) {
      const { lengthMs, delayMs } = windows[index] as Window;
      const hi = delayMs === 0 ? visibleEnd : state.upperBound(time - delayMs, null);
      state.moveWindow(index, time - delayMs - lengthMs, hi);
    }
    if (this.needsAggregates) {
      for (let index = 0; index < readers.length; index++) {
        this.aggregates[index] = aggregateOf(state, readers[index] as Reader);
      }
    }
    const ageMs = statuses === undefined ? null : this.ageOf(state, visibleEnd, time);
    for (let at = 0; at < this.features.length; at++) {
      const feature = this.features[at] as FeatureReader;
      const { type, orElse } = this.view.features[at] as CompiledView['features'][number];
      const value =
        feature.plain === -1
          ? feature.run(NO_VALUES, this.aggregates)
          : aggregateOf(state, readers[feature.plain] as Reader);
      out[start + at] = value === null ? feature.fallback : toVectorNumber(type, value);
      if (statuses !== undefined) {
        statuses[start + at] = STATUSES.indexOf(statusOf(ageMs, this.view.ttlMs, value === null, orElse !== null));
      }
    }
  }

  ageAt(key: Value, time: number, id: EventId | null, ownStream: boolean): number | null {
    const state = key === null ? undefined : this.states.get(key);
    return state === undefined ? null : this.ageOf(state, this.visibleEnd(state, time, id, ownStream), time);
  }

  /** Index after the last visible event. */
  private visibleEnd(state: KeyState, time: number, id: EventId | null, ownStream: boolean): number {
    // The position is at or behind the newest event in most calls: try the end before bisecting.
    if (state.end > state.start && state.timeAt(state.end - 1) < time) return state.end;
    if (!ownStream) return state.upperBound(time, null);
    if (id === null) return state.upperBound(time - 1, null);
    return this.view.includeRequest ? state.upperBound(time, id) : state.lowerBound(time, id);
  }

  private ageOf(state: KeyState, visibleEnd: number, time: number): number | null {
    if (visibleEnd <= state.start) return null;
    const age = time - state.timeAt(visibleEnd - 1);
    return age < this.view.keepMs ? age : null;
  }

  /** A key without events: counts are 0, everything else null or its default. */
  private writeEmpty(out: Float64Array, start: number, statuses: Uint8Array | undefined): void {
    for (let index = 0; index < this.aggregates.length; index++) {
      this.aggregates[index] = (this.layout.readers[index] as Reader).aggregate === 'count' ? 0 : null;
    }
    for (let at = 0; at < this.features.length; at++) {
      const feature = this.features[at] as FeatureReader;
      const { type } = this.view.features[at] as CompiledView['features'][number];
      const value = feature.run(NO_VALUES, this.aggregates);
      out[start + at] = value === null ? feature.fallback : toVectorNumber(type, value);
      if (statuses !== undefined) statuses[start + at] = 0;
    }
  }

  evict(watermark: number): void {
    if (watermark <= this.watermark) return;
    this.watermark = watermark;
    // Keys that still get events evict as they go; a sweep now and then finds those that do not.
    if (watermark < this.sweptAt + this.view.keepMs / 8) return;
    this.sweptAt = watermark;
    const until = watermark - this.view.keepMs;
    for (const [key, state] of this.states) {
      const dropped = state.evict(until);
      if (dropped === 0) continue;
      this.events -= dropped;
      this.changed(key, Number.POSITIVE_INFINITY);
      if (state.length === 0) this.states.delete(key);
    }
  }

  private changed(key: Value, time: number): void {
    const earliest = this.changes.get(key);
    if (earliest === undefined || time < earliest) this.changes.set(key, time);
  }

  takeChanges(): ReadonlyMap<Value, number> {
    const { changes } = this;
    this.changes = new Map();
    return changes;
  }

  encodeKey(key: Value): Uint8Array | null {
    return this.encodeRange(key, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  encodeRange(key: Value, from: number, until: number): Uint8Array | null {
    const state = this.states.get(key);
    if (state === undefined) return null;
    const [low, high] = [state.firstAt(from), state.firstAt(until)];
    return low === high ? null : encodeState(this.layout, state, low, high);
  }

  chunkStarts(key: Value, from: number, until: number, maxEvents: number): number[] {
    const state = this.states.get(key);
    if (state === undefined) return [];
    const [low, high] = [state.firstAt(from), state.firstAt(until)];
    const chunks = Math.ceil((high - low) / maxEvents);
    const starts: number[] = [];
    for (let chunk = 0; chunk < chunks; chunk++) {
      const time = state.timeAt(low + Math.floor((chunk * (high - low)) / chunks));
      if (time !== starts.at(-1)) starts.push(time);
    }
    return starts;
  }

  has(key: Value): boolean {
    return (this.states.get(key)?.length ?? 0) > 0;
  }

  keysSince(offset: number): Value[] {
    const found: Value[] = [];
    for (const [key, state] of this.states) if (state.holdsSince(offset)) found.push(key);
    return found;
  }

  decodeKey(key: Value, ...chunks: readonly Uint8Array[]): void {
    const before = this.states.get(key)?.length ?? 0;
    const state = decodeState(this.view, this.layout, chunks);
    this.states.set(key, state);
    this.events += state.length - before;
  }

  appendChunk(key: Value, chunk: Uint8Array): void {
    const state = this.states.get(key);
    if (state === undefined) this.decodeKey(key, chunk);
    else this.events += appendState(this.view, this.layout, state, chunk);
  }
}

const NO_VALUES: readonly Value[] = [];

function noFields(name: string): never {
  throw new Error(`invariant broken: field ${name} outside an aggregation`);
}

function aggregateOf(state: KeyState, { cell, aggregate, unit }: Reader): number | null {
  const count = state.countOf(cell);
  if (aggregate === 'count') return count;
  if (count === 0) return null;
  const sum = state.sumOf(cell);
  const value = aggregate === 'sum' ? sum : sum / (count * unit);
  return Number.isFinite(value) ? value + 0 : null;
}
