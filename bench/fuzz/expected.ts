import type { CompiledService, CompiledView } from '../../features/compiledView.js';
import { interpretService, interpretView } from '../../features/interpreter.js';
import { compareIds } from '../../features/order.js';
import type { LoggedEvent, Status, Value } from '../../features/types.js';
import type { BuiltCase } from './buildProject.js';

/** What the interpreter says about one request, with the tolerance of each column. */
export interface Expected {
  readonly request: LoggedEvent;
  readonly vector: Float64Array;
  readonly statuses: readonly Status[];
  readonly tolerances: Float64Array;
}

/** Distinct requests, by (time, id, key). */
function distinctRequests(built: BuiltCase): LoggedEvent[] {
  const key = built.requests.topicKey;
  const first = new Map<string, LoggedEvent>();
  for (const event of built.requestEvents) {
    const identity = JSON.stringify([event.time, event.id, event.values[key]]);
    const known = first.get(identity);
    const isLower =
      known === undefined ||
      event.partition < known.partition ||
      (event.partition === known.partition && event.offset < known.offset);
    if (isLower) first.set(identity, event);
  }
  return [...first.values()].sort(
    (a, b) =>
      a.time - b.time ||
      compareIds(a.id, b.id) ||
      compareIds(a.values[key] as string | number, b.values[key] as string | number),
  );
}

/** All distinct requests, in the order of time. */
export function interpretAll(built: BuiltCase): Expected[] {
  const events = { requests: built.requestEvents, signals: built.signalEvents };
  return distinctRequests(built).map((request) => expectedAt(built.service, request, events));
}

/** @param events what is known. */
export function expectedAt(
  service: CompiledService,
  request: LoggedEvent,
  events: { readonly requests: readonly LoggedEvent[]; readonly signals: readonly LoggedEvent[] },
): Expected {
  const eventsOf = (view: CompiledView, key: Value): LoggedEvent[] =>
    events[view.stream.name as 'requests' | 'signals'].filter((event) => event.values[view.key] === key);
  const { vector, statuses } = interpretService(service, request, eventsOf);
  const tolerances = service.columns.map(({ input, feature }, column) => {
    const { view, kind } = service.inputs[input] as CompiledService['inputs'][number];
    const value = Math.abs(vector[column] as number);
    if (kind === 'request') return 0;
    const { requestKey } = service.inputs[input] as { requestKey: number };
    const key = request.values[requestKey] as Value;
    const magnitude =
      key === null ? 0 : magnitudeOf(view, feature, eventsOf(view, key), request, view.stream === service.request);
    // Exact sums beyond 2^53 agree within 2 ulp.
    return magnitude === null
      ? value > 2 ** 53 || isMeanOfExtremes(view, feature)
        ? value * 4.5e-16
        : 0
      : magnitude * 1e-12;
  });
  return { request, vector, statuses, tolerances: Float64Array.from(tolerances) };
}

/** Means of exact numbers are equal while sum and count are within 2^53; the cases also hold greater ones. */
function isMeanOfExtremes(view: CompiledView, feature: number): boolean {
  const { value } = view.features[feature] as CompiledView['features'][number];
  return value.op === 'aggregate' && view.aggregations[value.index]?.aggregate === 'mean';
}

/** For a sum or mean of doubles: the same over |x|, by which rule 5 scales the tolerance; null for exact features. */
function magnitudeOf(
  view: CompiledView,
  feature: number,
  events: readonly LoggedEvent[],
  request: LoggedEvent,
  ownStream: boolean,
): number | null {
  const { value } = view.features[feature] as CompiledView['features'][number];
  if (value.op !== 'aggregate') return null;
  const aggregation = view.aggregations[value.index];
  if (aggregation === undefined || aggregation.aggregate === 'count' || aggregation.input?.type.kind !== 'double')
    return null;
  const absolute: CompiledView = {
    ...view,
    aggregations: [{ ...aggregation, input: { op: 'abs', of: aggregation.input, type: { kind: 'double' } } }],
    features: [
      {
        name: 'magnitude',
        type: { kind: 'double' },
        value: { op: 'aggregate', index: 0, type: { kind: 'double' } },
        orElse: null,
      },
    ],
  };
  return (interpretView(absolute, events, request, ownStream).values[0] as number | null) ?? 0;
}

/** What differs, in words. */
export function compare(
  engine: string,
  service: CompiledService,
  expected: Expected,
  vector: ArrayLike<number>,
): string[] {
  const differences: string[] = [];
  for (const [at, { name }] of service.columns.entries()) {
    const [wanted, found] = [expected.vector[at] as number, vector[at] as number];
    // -0 is not 0: it must not come out of any engine.
    if (Object.is(wanted, found)) continue;
    if (!Object.is(found, -0) && Math.abs(wanted - found) <= (expected.tolerances[at] as number)) continue;
    differences.push(
      `${engine}: request ${JSON.stringify(expected.request.id)} at ${expected.request.time}, ${name}: the interpreter says ${wanted}, found ${found}`,
    );
  }
  return differences;
}
