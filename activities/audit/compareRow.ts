import type { SkewCause } from '../../contracts/consistency.js';
import type { CutRecord } from '../../contracts/records.js';
import type { CompiledService, CompiledView } from '../../features/compiledView.js';
import { interpretService } from '../../features/interpreter.js';
import { toleranceOf } from '../../features/tolerance.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import type { ServedRow } from '../../stores/offline/archiveReader.js';
import { isWithinCut } from './withinCut.js';

/** An event, and whether it was behind the watermark of its partition. */
export interface KnownEvent {
  readonly event: LoggedEvent;
  readonly isLate: boolean;
}

/** Events of one key that a view can see, in any order. */
export type EventsOf = (view: CompiledView, key: Value) => readonly KnownEvent[];

/** A value that a recomputation has otherwise; null for a missing one. */
export interface ColumnDifference {
  readonly column: string;
  readonly served: number | null;
  readonly recomputed: number | null;
}

export interface RowComparison {
  /** Columns that the interpreter has otherwise within the cut: none, unless something is wrong. */
  readonly broken: readonly ColumnDifference[];
  /** Columns that event time has otherwise, and why; null where it has none. */
  readonly skewed: readonly ColumnDifference[];
  readonly cause: SkewCause | null;
}

/**
 * Recomputes one served vector, over the events within its cut alone and over all events.
 *
 *     within the cut   not late, and folded when the vector was computed   must be what was served
 *     in flight        not late, but not folded yet
 *     late             never folded                                        all together: event time
 *
 * @param cut null where nothing but requests feeds the model.
 */
export function compareRow(
  project: string,
  service: CompiledService,
  row: ServedRow,
  request: LoggedEvent,
  cut: CutRecord | null,
  eventsOf: EventsOf,
): RowComparison {
  const reaches = new Map<string, Reach>();
  const within = (view: CompiledView, key: Value): readonly LoggedEvent[] => {
    const reach = reachOf(view, eventsOf(view, key), request, (event) =>
      isWithinCut(project, service.request, cut, row, view, event),
    );
    reaches.set(placeOf(view, key), reach);
    return reach.within;
  };
  const broken = differences(service, row, request, within);
  if ([...reaches.values()].every(({ inFlight, late }) => inFlight.length + late.length === 0))
    return { broken, skewed: [], cause: null };

  const differencesWith = (parts: (reach: Reach, view: CompiledView) => readonly LoggedEvent[]): ColumnDifference[] =>
    differences(service, row, request, (view, key) => {
      const reach = reaches.get(placeOf(view, key)) as Reach;
      return [...reach.within, ...parts(reach, view)];
    });
  const skewed = differencesWith(({ inFlight, late }) => [...inFlight, ...late]);
  if (skewed.length === 0) return { broken, skewed, cause: null };
  // The first reason that makes a difference by itself; where only all of them do, the first that is there.
  const isOfLabels = ({ stream }: CompiledView): boolean => stream.labels !== null;
  const reasons: readonly [SkewCause, (reach: Reach, view: CompiledView) => readonly LoggedEvent[]][] = [
    ['inFlight', ({ inFlight }) => inFlight],
    ['lateEvent', ({ late }, view) => (isOfLabels(view) ? [] : late)],
    ['lateLabel', ({ late }, view) => (isOfLabels(view) ? late : [])],
  ];
  const alone = reasons.find(([, events]) => differencesWith(events).length > 0);
  const present = reasons.find(([, events]) =>
    [...reaches.values()].some((reach) => events(reach, reach.view).length > 0),
  );
  const [cause] = (alone ?? present) as (typeof reasons)[number];
  return { broken, skewed, cause };
}

interface Reach {
  readonly view: CompiledView;
  readonly within: LoggedEvent[];
  readonly inFlight: LoggedEvent[];
  readonly late: LoggedEvent[];
}

/** A view may be looked up by several keys of one request. */
function placeOf(view: CompiledView, key: Value): string {
  return `${view.hash} ${JSON.stringify(key)}`;
}

/** The events of a key that a view can see at the request. */
function reachOf(
  view: CompiledView,
  events: readonly KnownEvent[],
  request: LoggedEvent,
  isWithinCut: (event: LoggedEvent) => boolean,
): Reach {
  const reach: Reach = { view, within: [], inFlight: [], late: [] };
  for (const { event, isLate } of events) {
    if (event.time <= request.time - view.keepMs || event.time > request.time) continue;
    if (isLate) reach.late.push(event);
    else (isWithinCut(event) ? reach.within : reach.inFlight).push(event);
  }
  return reach;
}

/** Columns that the interpreter has otherwise over these events, but for what doubles may differ by. */
function differences(
  service: CompiledService,
  { vector: served, isByRules }: ServedRow,
  request: LoggedEvent,
  eventsOf: (view: CompiledView, key: Value) => readonly LoggedEvent[],
): ColumnDifference[] {
  const recomputed = interpretService(service, request, eventsOf).vector;
  const found: ColumnDifference[] = [];
  for (const [at, { name }] of service.columns.entries()) {
    const [was, is] = [served[at] ?? Number.NaN, recomputed[at] as number];
    if (Object.is(was, is)) continue;
    // What nobody had computed when the rules answered was not served.
    if (isByRules && Number.isNaN(was)) continue;
    if (Math.abs(was - is) <= toleranceOf(service, at, is, request, eventsOf)) continue;
    found.push({ column: name, served: served[at] ?? null, recomputed: Number.isNaN(is) ? null : is });
  }
  return found;
}
