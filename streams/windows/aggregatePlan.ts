import type { CompiledField } from '../../features/compiledView.js';
import type { CompiledWindowAggregate } from '../../features/compiledWindows.js';
import { compileExpression, type CompiledExpression } from '../../features/evaluate.js';
import { finiteDouble } from '../../features/arithmetic.js';
import { addToWords, addWords, valueOfWords } from '../../features/exactSum.js';
import { canonicalJson } from '../../features/hash.js';
import { compareIds } from '../../features/order.js';
import type { EventId, Value, ValueType } from '../../features/types.js';
import { powerOfTen } from '../../features/vector.js';
import type { RowLayout, RowStore } from './rowStore.js';

/** Absent: the aggregates do not need the cell. */
const NONE = -1;

/**
 * How the aggregates of windows lie in rows of a RowStore, and how events fold into them. What several aggregates need of
 * one input (its count, say) is held once, in its track:
 *
 *   count(), sum(amount), mean(amount), max(amount)
 *   track 1: no input   n
 *   track 2: amount     n  low  high  max
 *
 * Sums of int, decimal and bool are exact; those of doubles are compensated (Neumaier 1974) and in the order of the log.
 */
export class AggregatePlan {
  readonly layout: RowLayout;
  private readonly tracks: readonly Track[];
  private readonly results: readonly {
    readonly prefix: string;
    readonly of: CompiledWindowAggregate;
    readonly track: Track;
  }[];

  /**
   * @param fields of the values that are folded, in order.
   * @param head first numbers of every row, before those of the aggregates; their initial values.
   * @param headColumns columns before those of the aggregates.
   */
  constructor(
    aggregates: readonly CompiledWindowAggregate[],
    fields: readonly CompiledField[],
    head: readonly number[],
    headColumns: RowLayout['columns'],
  ) {
    const initial = [...head];
    const columns = [...headColumns];
    const tracks = new Map<string, Track>();
    this.results = aggregates.map((of, at) => {
      const identity = canonicalJson([of.input, of.where]);
      const track = tracks.get(identity) ?? new Track(of, fields);
      tracks.set(identity, track);
      track.provide(of, initial, columns);
      return { prefix: `${at === 0 ? '' : ','}${JSON.stringify(of.name)}:`, of, track };
    });
    this.tracks = [...tracks.values()];
    this.layout = { initial, columns };
  }

  /** Folds one event into a row. */
  fold(store: RowStore, row: number, values: readonly Value[], time: number, id: EventId): void {
    const { tracks } = this;
    for (let at = 0; at < tracks.length; at++) (tracks[at] as Track).fold(store, row, values, time, id);
  }

  /** Folds all that row `from` holds into row `into`. */
  merge(store: RowStore, into: number, from: number): void {
    for (const track of this.tracks) track.merge(store, into, from);
  }

  /** The results of a row as fields of a JSON object: `"count":2,"total":12.34`. */
  json(store: RowStore, row: number): string {
    let text = '';
    for (const { prefix, of, track } of this.results) text += prefix + jsonOf(track.result(of, store, row));
    return text;
  }
}

/** All that is held of one input under one condition. */
class Track {
  private readonly input: CompiledExpression | null;
  private readonly where: CompiledExpression | null;
  private readonly type: ValueType | null;
  private readonly isDouble: boolean;
  private readonly scale: number;
  /** Cells of the row, or NONE. `sum`: two cells, low and high word, or sum and compensation. */
  private count = NONE;
  private sum = NONE;
  private least = NONE;
  private greatest = NONE;
  /** Two cells each: time and, where it is a number, id; the value in a column. */
  private first = NONE;
  private last = NONE;
  private firstColumns = NONE;
  private lastColumns = NONE;
  private distinct = NONE;

  constructor({ input, where }: CompiledWindowAggregate, fields: readonly CompiledField[]) {
    this.input = input === null ? null : compileExpression(input, fields);
    this.where = where === null ? null : compileExpression(where, fields);
    this.type = input?.type ?? null;
    this.isDouble = input?.type.kind === 'double';
    this.scale = input?.type.kind === 'decimal' ? powerOfTen(input.type.scale) : 1;
  }

  /** Makes room for what an aggregate needs. */
  provide({ aggregate }: CompiledWindowAggregate, initial: number[], columns: ('value' | 'set')[]): void {
    const cells = (...values: number[]): number => initial.push(...values) - values.length;
    if (this.count === NONE && (aggregate === 'count' || aggregate === 'sum' || aggregate === 'mean'))
      this.count = cells(0);
    if (this.sum === NONE && (aggregate === 'sum' || aggregate === 'mean')) this.sum = cells(0, 0);
    if (this.least === NONE && aggregate === 'min') this.least = cells(Number.POSITIVE_INFINITY);
    if (this.greatest === NONE && aggregate === 'max') this.greatest = cells(Number.NEGATIVE_INFINITY);
    if (this.first === NONE && aggregate === 'first') {
      this.first = cells(Number.POSITIVE_INFINITY);
      this.firstColumns = columns.push('value', 'value') - 2;
    }
    if (this.last === NONE && aggregate === 'last') {
      this.last = cells(Number.NEGATIVE_INFINITY);
      this.lastColumns = columns.push('value', 'value') - 2;
    }
    if (this.distinct === NONE && aggregate === 'distinctCount') this.distinct = columns.push('set') - 1;
  }

  fold(store: RowStore, row: number, values: readonly Value[], time: number, id: EventId): void {
    if (this.where !== null && this.where(values) !== true) return;
    const value = this.input === null ? 1 : this.input(values);
    if (value === null) return;
    const { data } = store;
    const base = row * store.stride;
    if (this.count !== NONE) data[base + this.count] = (data[base + this.count] as number) + 1;
    if (this.sum !== NONE) {
      if (this.isDouble) addDouble(data, base + this.sum, value as number);
      else addToWords(data, base + this.sum, Number(value));
    }
    if (this.least !== NONE && (value as number) < (data[base + this.least] as number))
      data[base + this.least] = value as number;
    if (this.greatest !== NONE && (value as number) > (data[base + this.greatest] as number))
      data[base + this.greatest] = value as number;
    if (this.first !== NONE) this.keepFirst(store, row, value, time, id);
    if (this.last !== NONE) this.keepLast(store, row, value, time, id);
    if (this.distinct !== NONE) (store.columns[this.distinct]?.[row] as Set<Value>).add(value);
  }

  private keepFirst(store: RowStore, row: number, value: Value, time: number, id: EventId): void {
    const at = row * store.stride + this.first;
    const known = store.data[at] as number;
    const [ids, held] = this.columnsAt(store, this.firstColumns);
    if (time > known || (time === known && compareIds(id, ids[row] as EventId) >= 0)) return;
    store.data[at] = time;
    ids[row] = id;
    held[row] = value;
  }

  private keepLast(store: RowStore, row: number, value: Value, time: number, id: EventId): void {
    const at = row * store.stride + this.last;
    const known = store.data[at] as number;
    const [ids, held] = this.columnsAt(store, this.lastColumns);
    if (time < known || (time === known && compareIds(id, ids[row] as EventId) <= 0)) return;
    store.data[at] = time;
    ids[row] = id;
    held[row] = value;
  }

  private columnsAt(store: RowStore, at: number): [Value[], Value[]] {
    return [store.columns[at] as Value[], store.columns[at + 1] as Value[]];
  }

  merge(store: RowStore, into: number, from: number): void {
    const { data, stride } = store;
    const to = into * stride;
    const of = from * stride;
    if (this.count !== NONE)
      data[to + this.count] = (data[to + this.count] as number) + (data[of + this.count] as number);
    if (this.sum !== NONE) {
      if (!this.isDouble) addWords(data, to + this.sum, of + this.sum);
      else {
        addDouble(data, to + this.sum, data[of + this.sum] as number);
        data[to + this.sum + 1] = (data[to + this.sum + 1] as number) + (data[of + this.sum + 1] as number);
      }
    }
    if (this.least !== NONE)
      data[to + this.least] = Math.min(data[to + this.least] as number, data[of + this.least] as number);
    if (this.greatest !== NONE)
      data[to + this.greatest] = Math.max(data[to + this.greatest] as number, data[of + this.greatest] as number);
    const firstTime = this.first === NONE ? Number.POSITIVE_INFINITY : (data[of + this.first] as number);
    if (Number.isFinite(firstTime)) {
      const [ids, held] = this.columnsAt(store, this.firstColumns);
      this.keepFirst(store, into, held[from] as Value, firstTime, ids[from] as EventId);
    }
    const lastTime = this.last === NONE ? Number.NEGATIVE_INFINITY : (data[of + this.last] as number);
    if (Number.isFinite(lastTime)) {
      const [ids, held] = this.columnsAt(store, this.lastColumns);
      this.keepLast(store, into, held[from] as Value, lastTime, ids[from] as EventId);
    }
    if (this.distinct !== NONE) {
      const sets = store.columns[this.distinct] as Set<Value>[];
      for (const value of sets[from] as Set<Value>) (sets[into] as Set<Value>).add(value);
    }
  }

  /** The value of an aggregate as others read it: decimals as numbers. */
  result({ aggregate }: CompiledWindowAggregate, store: RowStore, row: number): Value {
    const { data } = store;
    const base = row * store.stride;
    switch (aggregate) {
      case 'count':
        return data[base + this.count] as number;
      case 'sum': {
        const sum = this.sumOf(data, base);
        return sum === null ? null : sum / this.scale;
      }
      case 'mean': {
        const sum = this.sumOf(data, base);
        return sum === null ? null : finiteDouble(sum / ((data[base + this.count] as number) * this.scale));
      }
      case 'min':
      case 'max': {
        const value = data[base + (aggregate === 'min' ? this.least : this.greatest)] as number;
        return Number.isFinite(value) ? value / this.scale : null;
      }
      case 'first':
        return this.shown(store.columns[this.firstColumns + 1]?.[row] as Value);
      case 'last':
        return this.shown(store.columns[this.lastColumns + 1]?.[row] as Value);
      case 'distinctCount':
        return (store.columns[this.distinct]?.[row] as Set<Value>).size;
    }
  }

  private shown(value: Value): Value {
    return value !== null && this.type?.kind === 'decimal' ? (value as number) / this.scale : value;
  }

  private sumOf(data: Float64Array, base: number): number | null {
    if (data[base + this.count] === 0) return null;
    const at = base + this.sum;
    return this.isDouble ? finiteDouble((data[at] as number) + (data[at + 1] as number)) : valueOfWords(data, at);
  }
}

/** Adds to a sum and its compensation: what is lost of the smaller operand is kept beside. */
function addDouble(data: Float64Array, at: number, value: number): void {
  const sum = data[at] as number;
  const next = sum + value;
  const lost = Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
  data[at] = next;
  data[at + 1] = (data[at + 1] as number) + lost;
}

function jsonOf(value: Value): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
