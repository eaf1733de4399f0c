import type { CompiledAggregation, CompiledService, CompiledView } from './compiledView.js';
import { interpretView } from './interpreter.js';
import type { LoggedEvent, StreamEvent, Value } from './types.js';

/** Of the sum of |x|: sums of doubles in another order agree so closely, up to 4,500 addends. */
const OF_MAGNITUDE = 1e-12;
/** 2 ulp: exact sums beyond 2^53. */
const OF_EXACT_SUM = 4.5e-16;
/** Arithmetic on sums of doubles has no bound that can be stated: so close is taken for equal. */
const OF_DERIVED = 1e-9;

/**
 * How far two engines may be apart in one column of a vector and still mean the same: 0 but for sums and means of doubles, and
 * what is computed from them, and for exact sums beyond 2^53.
 *
 * @param value of the column, by either engine.
 * @param eventsOf events of a view's stream with the given key, those that the value is of.
 */
export function toleranceOf(
  service: CompiledService,
  column: number,
  value: number,
  request: StreamEvent,
  eventsOf: (view: CompiledView, key: Value) => readonly LoggedEvent[],
): number {
  const { input: at, feature: index } = service.columns[column] as CompiledService['columns'][number];
  const input = service.inputs[at] as CompiledService['inputs'][number];
  if (input.kind === 'request' || Number.isNaN(value)) return 0;
  const { view } = input;
  const computed = view.features[index]?.value;
  const used = aggregationsIn(computed).map((each) => view.aggregations[each] as CompiledAggregation);
  if (computed?.op !== 'aggregate') return used.some(isOfDoubles) ? Math.abs(value) * OF_DERIVED : 0;
  const [aggregation] = used as [CompiledAggregation];
  if (!isOfDoubles(aggregation)) {
    // Means are equal while sum and count are within 2^53; what the sum was cannot be seen.
    const isExact = aggregation.aggregate !== 'mean' && Math.abs(value) <= 2 ** 53;
    return isExact ? 0 : Math.abs(value) * OF_EXACT_SUM;
  }
  const key = request.values[input.requestKey] as Value;
  const events = key === null ? [] : eventsOf(view, key);
  return magnitudeOf(view, aggregation, events, request, view.stream.name === service.request.name) * OF_MAGNITUDE;
}

function isOfDoubles({ aggregate, input }: CompiledAggregation): boolean {
  return aggregate !== 'count' && input?.type.kind === 'double';
}

/** Indexes of the aggregations that an expression is computed from. */
function aggregationsIn(expression: unknown): number[] {
  if (typeof expression !== 'object' || expression === null) return [];
  if (Array.isArray(expression)) return expression.flatMap(aggregationsIn);
  const { op, index } = expression as { readonly op?: unknown; readonly index?: unknown };
  return op === 'aggregate' ? [index as number] : Object.values(expression).flatMap(aggregationsIn);
}

/** The same sum or mean over |x|. */
function magnitudeOf(
  view: CompiledView,
  aggregation: CompiledAggregation,
  events: readonly LoggedEvent[],
  request: StreamEvent,
  isOwnStream: boolean,
): number {
  const type = { kind: 'double' } as const;
  const input = { op: 'abs', of: aggregation.input as NonNullable<CompiledAggregation['input']>, type } as const;
  const absolute: CompiledView = {
    ...view,
    aggregations: [{ ...aggregation, input }],
    features: [{ name: 'magnitude', type, value: { op: 'aggregate', index: 0, type }, orElse: null }],
  };
  return (interpretView(absolute, events, request, isOwnStream).values[0] as number | null) ?? 0;
}
