import type { CutRecord, PredictionRecord, ServiceVector } from '../../contracts/records.js';
import { cutsTopic, streamTopic } from '../../contracts/topics.js';
import type { CompiledService, CompiledStream, CompiledView } from '../../features/compiledView.js';
import { interpretService } from '../../features/interpreter.js';
import { toleranceOf } from '../../features/tolerance.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import type { CompiledModel } from '../../models/definition.js';
import type { Log } from '../../stores/log/log.js';
import { expectedOutcomes, type ExpectedRecord } from './expectedOutcomes.js';
import { jsonOf, readTopic } from './readTopic.js';
import { isWithinCut } from './withinCut.js';

/** Rows whose event-time vector differs from the served one, by the reason that weighs most. */
export interface Skew {
  readonly rows: number;
  /** Some event was on its way: in the log, or in another task, when the row was computed. */
  readonly inFlight: number;
  /** Some event of the request's own stream was behind the watermark. */
  readonly lateEvent: number;
  /** Some event of another stream was behind the watermark. */
  readonly lateLabel: number;
}

export interface VectorComparison {
  /** Served vectors. */
  readonly vectorsCompared: number;
  /** Vectors that were computed beside a served one. */
  readonly othersCompared: number;
  readonly maxDifference: number;
  readonly skew: Skew;
}

/** Where events and cuts are read. */
export interface VectorSource {
  /** What became of the events of a stream, with the events themselves, in any order. */
  outcomes(stream: CompiledStream): Promise<readonly Pick<ExpectedRecord, 'event' | 'outcome' | 'isLateReplay'>[]>;
  cuts(): Promise<readonly CutRecord[]>;
}

/** All that the log has. */
export function wholeLog(log: Log, project: string, model: CompiledModel): VectorSource {
  const known = new Map<string, Promise<readonly ExpectedRecord[]>>();
  return {
    outcomes: (stream) => {
      const outcomes =
        known.get(stream.hash) ??
        readTopic(log, streamTopic(project, stream.name)).then((records) => expectedOutcomes(stream, records));
      known.set(stream.hash, outcomes);
      return outcomes;
    },
    cuts: async () => (await readTopic(log, cutsTopic(project, model.name))).map((record) => jsonOf<CutRecord>(record)),
  };
}

interface IndexedEvent {
  readonly event: LoggedEvent;
  readonly isLate: boolean;
}

/** Events of one key in a view's reach at a request. */
interface Reach {
  readonly within: LoggedEvent[];
  readonly beyond: IndexedEvent[];
}

/**
 * Recomputes every served vector with the interpreter, by the service that it is of, over the events within its cut alone;
 * and over all events, to measure what the cut left out. Vectors that were computed beside it are recomputed, too.
 *
 * @param services what versions read, besides the model's own.
 */
export async function compareVectors(
  read: VectorSource,
  project: string,
  model: CompiledModel,
  predictions: readonly PredictionRecord[],
  services: readonly CompiledService[],
  find: (text: string) => void,
  onProgress: (share: number) => void,
): Promise<VectorComparison> {
  const { request } = model;
  const known = new Map([model.service, ...services].map((service) => [service.hash, service]));
  const cuts = new Map((await read.cuts()).map((cut) => [cut.id, cut]));
  const expected = await read.outcomes(request);
  const requests = new Map(
    expected.flatMap(({ event, outcome }) =>
      event !== null && outcome === 'prediction' ? [[`${event.partition}/${event.offset}`, event]] : [],
    ),
  );
  const named = new Set(
    predictions.flatMap(({ service, also }) => [service, ...(also ?? []).map((each) => each.service)]),
  );
  const indexes = new Map<string, Map<Value, IndexedEvent[]>>();
  for (const input of [...known.values()].flatMap(({ hash, inputs }) => (named.has(hash) ? inputs : []))) {
    if (input.kind === 'request' || indexes.has(input.view.hash)) continue;
    const { view } = input;
    const isOwn = view.stream.name === request.name;
    const outcomes = isOwn ? expected : await read.outcomes(view.stream);
    indexes.set(view.hash, byKey(view, outcomes));
  }

  const skew = { rows: 0, inFlight: 0, lateEvent: 0, lateLabel: 0 };
  let vectorsCompared = 0;
  let othersCompared = 0;
  let maxDifference = 0;
  for (const [number, prediction] of predictions.entries()) {
    if (number % 5_000 === 0) onProgress(number / predictions.length);
    const { source } = prediction;
    // Windows may have forgotten what it should have seen: see ReplayedRequest.
    if (prediction.replay?.late === true) continue;
    const event = requests.get(`${source.partition}/${source.offset}`);
    const cut = prediction.cut === null ? null : cuts.get(prediction.cut);
    if (event === undefined || cut === undefined) {
      maxDifference = Number.POSITIVE_INFINITY;
      find(`prediction ${prediction.id}: ${event === undefined ? 'no such request' : `no cut ${prediction.cut}`}`);
      continue;
    }
    const beyond: IndexedEvent[] = [];
    const reaches = new Map<string, Reach>();
    const withinCut = (view: CompiledView, key: Value): readonly LoggedEvent[] => {
      const reach =
        reaches.get(view.hash) ??
        reachOf(view, indexes.get(view.hash)?.get(key) ?? [], event, (each) =>
          isWithinCut(project, request, cut, source, view, each),
        );
      reaches.set(view.hash, reach);
      return reach.within;
    };
    /** The interpreter's vector; null where the record's is of a service that nobody knows. */
    const compare = (
      { service: hash, vector: shown }: ServiceVector,
      absent: readonly number[],
    ): Float64Array | null => {
      const service = known.get(hash);
      if (service === undefined) {
        maxDifference = Number.POSITIVE_INFINITY;
        find(`prediction ${prediction.id}: service ${hash} is not known`);
        return null;
      }
      const { vector } = interpretService(service, event, withinCut);
      for (const [at, { name }] of service.columns.entries()) {
        const served = shown[at] ?? Number.NaN;
        const found = vector[at] as number;
        if (Object.is(served, found) || absent.includes(at)) continue;
        const difference = Math.abs(served - found);
        if (difference <= toleranceOf(service, at, found, event, withinCut)) continue;
        maxDifference = Math.max(maxDifference, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
        find(
          `prediction ${prediction.id}, ${name}: served ${served}, the interpreter says ${found} within cut ${prediction.cut}`,
        );
      }
      return vector;
    };
    const vector = compare(prediction, prediction.absent ?? []);
    vectorsCompared++;
    for (const { beyond: more } of reaches.values()) beyond.push(...more);
    for (const each of prediction.also ?? []) compare(each, []);
    othersCompared += prediction.also?.length ?? 0;
    const service = known.get(prediction.service);
    if (vector === null || service === undefined) continue;
    if (beyond.length === 0) continue;
    const eventTime = interpretService(service, event, (view) => {
      const { within, beyond: more } = reaches.get(view.hash) as Reach;
      return [...within, ...more.map((each) => each.event)];
    });
    if (eventTime.vector.every((value, at) => Object.is(value, vector[at]))) continue;
    skew.rows++;
    const late = beyond.filter(({ isLate }) => isLate);
    if (late.length < beyond.length) skew.inFlight++;
    else if (late.some(({ event: each }) => each.values.length === event.values.length)) skew.lateEvent++;
    else skew.lateLabel++;
  }
  return { vectorsCompared, othersCompared, maxDifference, skew };
}

/** Events by the view's key, in time order; duplicates and broken records left out. */
function byKey(
  view: CompiledView,
  outcomes: readonly Pick<ExpectedRecord, 'event' | 'outcome' | 'isLateReplay'>[],
): Map<Value, IndexedEvent[]> {
  const groups = new Map<Value, IndexedEvent[]>();
  for (const { event, outcome, isLateReplay } of outcomes) {
    if (event === null || outcome === 'duplicate') continue;
    const key = event.values[view.key] as Value;
    const indexed = { event, isLate: outcome === 'late' || isLateReplay === true };
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [indexed]);
    else group.push(indexed);
  }
  for (const group of groups.values()) group.sort((a, b) => a.event.time - b.event.time);
  return groups;
}

/** The events of a key that a view can see at the request: those within its cut, and the others. */
function reachOf(
  view: CompiledView,
  events: readonly IndexedEvent[],
  request: LoggedEvent,
  isWithinCut: (event: LoggedEvent) => boolean,
): Reach {
  const reach: Reach = { within: [], beyond: [] };
  for (let at = firstAfter(events, request.time - view.keepMs); at < events.length; at++) {
    const indexed = events[at] as IndexedEvent;
    if (indexed.event.time > request.time) break;
    if (!indexed.isLate && isWithinCut(indexed.event)) reach.within.push(indexed.event);
    else reach.beyond.push(indexed);
  }
  return reach;
}

function firstAfter(events: readonly IndexedEvent[], time: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle] as IndexedEvent).event.time > time) high = middle;
    else low = middle + 1;
  }
  return low;
}
