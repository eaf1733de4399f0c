import { finiteDouble, scaleOf } from './arithmetic.js';
import type { CompiledAggregation, CompiledRequestView, CompiledService, CompiledView } from './compiledView.js';
import { evaluate } from './evaluate.js';
import { ExactSum } from './exactSum.js';
import { compareIds, comparePlaces, isVisible } from './order.js';
import { statusOf } from './status.js';
import type { LoggedEvent, Position, Status, StreamEvent, Value } from './types.js';
import { powerOfTen, toVectorNumber } from './vector.js';

/**
 * The meaning of the feature language, written for clarity: O(events) per value. Every other engine is held to it.
 *
 * @example one customer, a 1 d window that includes the request, payments at 10:00 (4.00) and 20:00 (6.00):
 *
 *   position 20:00 next day:  10:00 is 34 h old, 20:00 is 24 h old -> age < 24 h holds for neither: count 0
 *   position 19:59 next day:  20:00 is 23 h 59 min old             -> count 1, mean 6.00
 */
export interface ViewValues {
  readonly values: Value[];
  readonly statuses: Status[];
  /** Position's time minus that of the latest visible event within `keep`; null where there is none. */
  readonly ageMs: number | null;
}

/**
 * @param events all events of the one key, in any order, records of one event more than once included.
 * @param ownStream is the request an event of the view's own stream?
 */
export function interpretView(
  view: CompiledView,
  events: readonly LoggedEvent[],
  position: Position,
  ownStream: boolean,
): ViewValues {
  const distinct = withoutRepeats(events);
  const visible = distinct.filter((event) => isVisible(event, position, ownStream, view.includeRequest));

  const ages = visible.map((event) => position.time - event.time).filter((age) => age < view.keepMs);
  const ageMs = ages.length === 0 ? null : Math.min(...ages);

  const aggregates = view.aggregations.map((aggregation) => {
    // X.delay(d) at t is X at (t - d, after all ids); a window without delay stands at the position itself.
    const { delayMs, lengthMs } = aggregation.window;
    const until = position.time - delayMs;
    const candidates = delayMs === 0 ? visible : distinct.filter((event) => event.time <= until);
    return aggregate(
      view,
      aggregation,
      candidates.filter((event) => until - event.time < lengthMs && event.time <= until),
    );
  });

  const values: Value[] = [];
  const statuses: Status[] = [];
  for (const feature of view.features) {
    const raw = evaluate(feature.value, noFields, (index) => aggregates[index] as Value);
    const hasDefault = feature.orElse !== null;
    statuses.push(statusOf(ageMs, view.ttlMs, raw === null, hasDefault));
    values.push(raw ?? (feature.orElse === null ? null : evaluate(feature.orElse, noFields)));
  }
  return { values, statuses, ageMs };
}

function noFields(name: string): never {
  throw new Error(`invariant broken: field ${name} outside an aggregation`);
}

/** Rule 1: of records with equal time and id the one of lowest (partition, offset) counts. Sorted by (time, id). */
export function withoutRepeats(events: readonly LoggedEvent[]): LoggedEvent[] {
  const sorted = [...events].sort((a, b) => a.time - b.time || compareIds(a.id, b.id) || comparePlaces(a, b));
  return sorted.filter((event, at) => {
    const before = sorted[at - 1];
    return before === undefined || before.time !== event.time || compareIds(before.id, event.id) !== 0;
  });
}

/** One aggregation over the events of its window, nulls ignored. */
function aggregate(view: CompiledView, aggregation: CompiledAggregation, events: readonly LoggedEvent[]): Value {
  const inputs: Value[] = [];
  for (const event of events) {
    const field = (name: string): Value =>
      event.values[view.stream.fields.findIndex((candidate) => candidate.name === name)] as Value;
    if (aggregation.where !== null && evaluate(aggregation.where, field) !== true) continue;
    const value = aggregation.input === null ? true : evaluate(aggregation.input, field);
    if (value !== null) inputs.push(value);
  }
  if (aggregation.aggregate === 'count') return inputs.length;
  if (inputs.length === 0) return null;

  const type = aggregation.input?.type ?? { kind: 'int' };
  if (type.kind === 'double') {
    let sum = 0;
    for (const value of inputs) sum += value as number;
    return finiteDouble(aggregation.aggregate === 'sum' ? sum : sum / inputs.length);
  }
  const sum = new ExactSum();
  for (const value of inputs) sum.add(Number(value));
  if (aggregation.aggregate === 'sum' || sum.value === null) return sum.value;
  return finiteDouble(sum.value / (inputs.length * powerOfTen(scaleOf(type))));
}

/** Request features: values of the request's own fields and nothing else. */
export function interpretRequest(view: CompiledRequestView, values: readonly Value[]): Value[] {
  const field = (name: string): Value => values[view.stream.fields.findIndex((each) => each.name === name)] as Value;
  return view.features.map((feature) => evaluate(feature.value, field));
}

/**
 * The whole vector of a service at a request.
 * @param eventsOf all events of a view's stream whose key has the given value.
 */
export function interpretService(
  service: CompiledService,
  request: StreamEvent,
  eventsOf: (view: CompiledView, key: Value) => readonly LoggedEvent[],
): { vector: Float64Array; statuses: Status[] } {
  const perInput = service.inputs.map((input) => {
    if (input.kind === 'request') {
      const values = interpretRequest(input.view, request.values);
      return { values, statuses: values.map((value): Status => (value === null ? 'NULL' : 'PRESENT')) };
    }
    const key = request.values[input.requestKey] as Value;
    const events = key === null ? [] : eventsOf(input.view, key);
    return interpretView(input.view, events, request, input.view.stream.name === service.request.name);
  });
  const vector = new Float64Array(service.columns.length);
  const statuses: Status[] = [];
  for (const [at, column] of service.columns.entries()) {
    const { values, statuses: own } = perInput[column.input] as { values: Value[]; statuses: Status[] };
    vector[at] = toVectorNumber(column.type, values[column.feature] as Value);
    statuses.push(own[column.feature] as Status);
  }
  return { vector, statuses };
}
