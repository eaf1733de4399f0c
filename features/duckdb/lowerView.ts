import { scaleOf } from '../arithmetic.js';
import type { CompiledAggregation, CompiledView } from '../compiledView.js';
import type { Expression } from '../expression.js';
import { canonicalJson } from '../hash.js';
import { columnType, doubleSql, lowerExpression } from './lowerExpression.js';
import { finiteSql, identifier } from './sqlText.js';

/**
 * Lowers the windows of a view to window functions with constant integer RANGE frames.
 *
 * Positions in the view's own stream are `pos = time * F + rank`, rank being the place among equal times by event id, so
 * that one number carries the total order. With H = F/2 - 1 and ranks at most H, the window [t - d - w + 1, t - d] is
 * the frame from `(d + w - 1) * F + H` back:
 *
 *   F = 8, H = 3, w = 2 ms: events at 5 ms (ranks 0 and 1) and a request at 6 ms lie at 40, 41 and 48. The frame
 *   reaches back 8 + 3 = 11, to 37: both are in, and an event at 4 ms (32 to 35) is out.
 *
 * Where no two events of a key share a time, F = 1 and H = 0: pos is the time itself. In another stream visibility is
 * `e.time <= t`, so time alone orders, which is the same with F = 1.
 */
export interface PositionScale {
  /** F: a power of two, or 1. */
  readonly factor: number;
}

/** The smallest scale for groups of at most `ties` equal times. */
export function positionScale(ties: number): PositionScale {
  if (ties <= 1) return { factor: 1 };
  let factor = 4096;
  while (factor / 2 - 1 < ties) factor *= 2;
  return { factor };
}

/** One number per event for an aggregation: its input where the event counts, else null. */
export interface LoweredTrack {
  readonly name: string;
  readonly sql: string;
  readonly type: 'BIGINT' | 'DOUBLE' | 'INTEGER';
}

/** A view as the columns to compute on its events and the window functions over them. */
export interface LoweredView {
  readonly tracks: readonly LoweredTrack[];
  /** `name AS sql` parts of the windows' results: counts and sums. */
  readonly windowed: readonly { readonly name: string; readonly sql: string }[];
  /** SQL of each feature over the windowed columns, as DOUBLE of the vector, in the view's order. */
  readonly features: readonly { readonly name: string; readonly sql: string }[];
}

/**
 * @param prefix of the columns, so that views can stand side by side.
 * @param own is the request an event of the view's own stream?
 * @param field SQL of a field of the view's events.
 */
export function lowerView(
  view: CompiledView,
  prefix: string,
  own: boolean,
  scale: PositionScale,
  field: (name: string) => string,
): LoweredView {
  const tracks = new Map<string, LoweredTrack>();
  const windowed = new Map<string, { name: string; sql: string }>();

  const trackOf = (aggregation: CompiledAggregation): LoweredTrack => {
    const key = canonicalJson([aggregation.input, aggregation.where]);
    let track = tracks.get(key);
    if (track === undefined) {
      track = lowerTrack(`${prefix}t${tracks.size}`, aggregation, field);
      tracks.set(key, track);
    }
    return track;
  };
  const window = (call: string, aggregation: CompiledAggregation): string => {
    const sql = `${call} OVER (PARTITION BY __key ORDER BY __pos ${frame(view, aggregation, own, scale)})`;
    let result = windowed.get(sql);
    if (result === undefined) {
      result = { name: `${prefix}w${windowed.size}`, sql };
      windowed.set(sql, result);
    }
    return identifier(result.name);
  };

  const aggregates = view.aggregations.map((aggregation): string => {
    const track = trackOf(aggregation);
    const column = identifier(track.name);
    const count = window(`count(${column})`, aggregation);
    if (aggregation.aggregate === 'count') return count;
    const sum = window(`sum(${column})`, aggregation);
    // A sum over nothing is null in SQL, too.
    if (track.type === 'DOUBLE') {
      return `(${finiteSql(aggregation.aggregate === 'sum' ? sum : `(${sum} / ${count})`)})`;
    }
    if (aggregation.aggregate === 'sum') return sum;
    const unit = 10n ** BigInt(aggregation.input === null ? 0 : scaleOf(aggregation.input.type));
    return `(${finiteSql(`(CAST(${sum} AS DOUBLE) / CAST(CAST(${count} AS HUGEINT) * ${unit} AS DOUBLE))`)})`;
  });

  const features = view.features.map(({ name, type, value, orElse }) => {
    const raw = lowerExpression(value, noFields, (index) => aggregates[index] as string);
    const filled = orElse === null ? raw : `coalesce(${raw}, ${lowerExpression(orElse, noFields)})`;
    return { name, sql: vectorSql(type, filled) };
  });
  return { tracks: [...tracks.values()], windowed: [...windowed.values()], features };
}

function noFields(name: string): never {
  throw new Error(`invariant broken: field ${name} outside an aggregation`);
}

/** A value as a number of the vector: bool 0 or 1, decimal(s) / 10^s. */
export function vectorSql(type: CompiledView['features'][number]['type'], sql: string): string {
  return type.kind === 'bool' ? `CAST(${sql} AS DOUBLE)` : doubleSql(type, sql);
}

function lowerTrack(
  name: string,
  { input, where }: CompiledAggregation,
  field: (name: string) => string,
): LoweredTrack {
  const { sql, type } = trackValue(input, field);
  return { name, sql: where === null ? sql : `CASE WHEN ${lowerExpression(where, field)} THEN ${sql} END`, type };
}

function trackValue(input: Expression | null, field: (name: string) => string): Pick<LoweredTrack, 'sql' | 'type'> {
  if (input === null) return { sql: '1', type: 'INTEGER' };
  const sql = lowerExpression(input, field);
  const type = columnType(input.type);
  switch (type) {
    case 'BOOLEAN':
      return { sql: `CAST(${sql} AS INTEGER)`, type: 'INTEGER' };
    case 'VARCHAR':
      // Text can only be counted.
      return { sql: `CASE WHEN ${sql} IS NOT NULL THEN 1 END`, type: 'INTEGER' };
    case 'BIGINT':
    case 'DOUBLE':
      return { sql, type };
  }
}

/** The frame of a window at a position; see PositionScale. */
function frame(view: CompiledView, { window }: CompiledAggregation, own: boolean, { factor }: PositionScale): string {
  const half = factor === 1 ? 0 : factor / 2 - 1;
  const { lengthMs, delayMs } = window;
  const from = BigInt(delayMs + lengthMs - 1) * BigInt(factor) + BigInt(half);
  const until = BigInt(delayMs) * BigInt(factor) - BigInt(half);
  const end = delayMs > 0 ? `${until} PRECEDING` : own && !view.includeRequest ? '1 PRECEDING' : 'CURRENT ROW';
  return `RANGE BETWEEN ${from} PRECEDING AND ${end}`;
}
