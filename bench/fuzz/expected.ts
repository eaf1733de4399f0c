import type { CompiledService, CompiledView } from '../../features/compiledView.js';
import { interpretService } from '../../features/interpreter.js';
import { compareIds } from '../../features/order.js';
import { toleranceOf } from '../../features/tolerance.js';
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
  const tolerances = service.columns.map((_, column) =>
    toleranceOf(service, column, vector[column] as number, request, eventsOf),
  );
  return { request, vector, statuses, tolerances: Float64Array.from(tolerances) };
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
