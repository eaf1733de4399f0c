import type { CutRecord, PredictionRecord, SetAsideRecord } from '../../contracts/records.js';
import {
  cutsTopic,
  deadLetterTopic,
  duplicatesTopic,
  lateTopic,
  predictionsTopic,
  streamTopic,
} from '../../contracts/topics.js';
import type { CompiledStream, CompiledView } from '../../features/compiledView.js';
import { interpretService } from '../../features/interpreter.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import type { CompiledModel } from '../../models/definition.js';
import type { Log, LogRecord } from '../../stores/log/log.js';
import { expectedOutcomes, type ExpectedRecord, type Outcome } from './expectedOutcomes.js';
import { readTopic } from './readTopic.js';

/** What the topics themselves prove about a model's stream. */
export interface ServedAudit {
  /** Requests that were live. */
  readonly records: number;
  readonly predictions: number;
  readonly duplicates: number;
  readonly late: number;
  readonly deadLetters: number;
  /** Live requests that ended nowhere, or not as they had to. */
  readonly missing: number;
  /** Live requests that ended more than once. */
  readonly repeated: number;
  readonly vectorsCompared: number;
  /** Greatest difference of a served value and the interpreter's within the cut; Infinity where one of them is null. */
  readonly maxDifference: number;
  /** The first few findings, in words. */
  readonly findings: readonly string[];
}

const MAX_FINDINGS = 20;

/**
 * Proves from the committed records of the topics that every live request ended exactly once and as it had to, and that
 * every served vector is the interpreter's value over what its cut names.
 *
 * @param liveFrom first live offset per partition of the request topic.
 */
export async function verifyServed(
  log: Log,
  project: string,
  model: CompiledModel,
  liveFrom: ReadonlyMap<number, number>,
): Promise<ServedAudit> {
  const { request } = model;
  const requestTopic = streamTopic(project, request.name);
  const findings: string[] = [];
  const find = (text: string): void => {
    if (findings.length < MAX_FINDINGS) findings.push(text);
  };

  // 1 what had to happen
  const expected = expectedOutcomes(request, await readTopic(log, requestTopic));
  const live = expected.filter(({ record }) => record.offset >= (liveFrom.get(record.partition) ?? 0));

  // 2 what happened
  const happened = new Map<string, Outcome[]>();
  const note = (partition: number, offset: number, outcome: Outcome): void => {
    const place = `${partition}/${offset}`;
    const known = happened.get(place);
    if (known === undefined) happened.set(place, [outcome]);
    else known.push(outcome);
  };
  const predictions = (await readTopic(log, predictionsTopic(project, model.name))).map((record) =>
    json<PredictionRecord>(record),
  );
  for (const { source } of predictions) note(source.partition, source.offset, 'prediction');
  for (const [topic, outcome] of [
    [lateTopic(project), 'late'],
    [duplicatesTopic(project), 'duplicate'],
  ] as const) {
    for (const record of await readTopic(log, topic)) {
      const { source } = json<SetAsideRecord>(record);
      if (source.topic === requestTopic) note(source.partition, source.offset, outcome);
    }
  }
  for (const { headers } of await readTopic(log, deadLetterTopic(project))) {
    if (String(headers['original-topic']) === requestTopic) {
      note(Number(headers['original-partition']), Number(headers['original-offset']), 'deadLetter');
    }
  }

  // 3 both are the same
  let missing = 0;
  let repeated = 0;
  const counts: Record<Outcome, number> = { prediction: 0, duplicate: 0, late: 0, deadLetter: 0 };
  for (const { record, outcome } of live) {
    const found = happened.get(`${record.partition}/${record.offset}`) ?? [];
    for (const each of found) counts[each]++;
    const place = `${requestTopic}-${record.partition} offset ${record.offset}`;
    if (found.length > 1) {
      repeated++;
      find(`${place} ended ${found.length} times: ${found.join(', ')}`);
    }
    if (!found.includes(outcome)) {
      missing++;
      find(`${place} had to end as ${outcome}, ended as ${found.join(', ') || 'nothing'}`);
    }
  }
  const ended = [...happened.values()].reduce((sum, found) => sum + found.length, 0);
  const endedLive = counts.prediction + counts.duplicate + counts.late + counts.deadLetter;
  if (ended !== endedLive) {
    repeated += ended - endedLive;
    find(`${ended - endedLive} answers to records that were not live`);
  }

  // 4 every vector is the interpreter's within its cut
  const vectors = await compareVectors(log, project, model, expected, predictions, find);
  return {
    records: live.length,
    predictions: counts.prediction,
    duplicates: counts.duplicate,
    late: counts.late,
    deadLetters: counts.deadLetter,
    missing,
    repeated,
    ...vectors,
    findings,
  };
}

function json<T>({ value }: LogRecord): T {
  return JSON.parse(value?.toString('utf8') ?? 'null') as T;
}

async function compareVectors(
  log: Log,
  project: string,
  model: CompiledModel,
  expected: readonly ExpectedRecord[],
  predictions: readonly PredictionRecord[],
  find: (text: string) => void,
): Promise<{ vectorsCompared: number; maxDifference: number }> {
  const { service, request } = model;
  const cuts = new Map(
    (await readTopic(log, cutsTopic(project, model.name)))
      .map((record) => json<CutRecord>(record))
      .map((cut) => [cut.id, cut]),
  );
  const requests = new Map(
    expected.flatMap(({ event, outcome }) =>
      event !== null && outcome === 'prediction' ? [[`${event.partition}/${event.offset}`, event]] : [],
    ),
  );
  const indexes = new Map<string, Map<Value, LoggedEvent[]>>();
  for (const input of service.inputs) {
    if (input.kind === 'request') continue;
    const { view } = input;
    const outcomes =
      view.stream.name === request.name
        ? expected
        : expectedOutcomes(view.stream, await readTopic(log, streamTopic(project, view.stream.name)));
    indexes.set(view.hash, byKey(view, outcomes));
  }

  let vectorsCompared = 0;
  let maxDifference = 0;
  for (const prediction of predictions) {
    const { source } = prediction;
    const event = requests.get(`${source.partition}/${source.offset}`);
    const cut = prediction.cut === null ? null : cuts.get(prediction.cut);
    if (event === undefined || cut === undefined) {
      maxDifference = Number.POSITIVE_INFINITY;
      find(`prediction ${prediction.id}: ${event === undefined ? 'no such request' : `no cut ${prediction.cut}`}`);
      continue;
    }
    const { vector } = interpretService(service, event, (view, key) =>
      eventsWithin(view, indexes.get(view.hash)?.get(key) ?? [], event, (each) =>
        view.stream.name === request.name
          ? each.offset <= source.offset
          : each.offset < foldedOffset(cut, project, view.stream, each.partition),
      ),
    );
    vectorsCompared++;
    for (const [at, { name }] of service.columns.entries()) {
      const served = prediction.vector[at] ?? Number.NaN;
      const found = vector[at] as number;
      if (Object.is(served, found)) continue;
      const difference = Math.abs(served - found);
      maxDifference = Math.max(maxDifference, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
      find(
        `prediction ${prediction.id}, ${name}: served ${served}, the interpreter says ${found} within cut ${prediction.cut}`,
      );
    }
  }
  return { vectorsCompared, maxDifference };
}

function foldedOffset(cut: CutRecord | null, project: string, stream: CompiledStream, partition: number): number {
  return cut?.folded[streamTopic(project, stream.name)]?.[partition] ?? 0;
}

/** Events that count, by the view's key, in time order. */
function byKey(view: CompiledView, outcomes: readonly ExpectedRecord[]): Map<Value, LoggedEvent[]> {
  const groups = new Map<Value, LoggedEvent[]>();
  for (const { event, outcome } of outcomes) {
    if (event === null || outcome !== 'prediction') continue;
    const key = event.values[view.key] as Value;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [event]);
    else group.push(event);
  }
  for (const group of groups.values()) group.sort((a, b) => a.time - b.time);
  return groups;
}

/** The events of a key that lie within reach of the view at the request, and within its cut. */
function eventsWithin(
  view: CompiledView,
  events: readonly LoggedEvent[],
  request: LoggedEvent,
  isWithinCut: (event: LoggedEvent) => boolean,
): LoggedEvent[] {
  const within: LoggedEvent[] = [];
  for (let at = firstAfter(events, request.time - view.keepMs); at < events.length; at++) {
    const event = events[at] as LoggedEvent;
    if (event.time > request.time) break;
    if (isWithinCut(event)) within.push(event);
  }
  return within;
}

function firstAfter(events: readonly LoggedEvent[], time: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle] as LoggedEvent).time > time) high = middle;
    else low = middle + 1;
  }
  return low;
}
