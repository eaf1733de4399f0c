import type { PredictionRecord, SetAsideRecord } from '../../contracts/records.js';
import { deadLetterTopic, duplicatesTopic, lateTopic, predictionsTopic, streamTopic } from '../../contracts/topics.js';
import type { CompiledService } from '../../features/compiledView.js';
import type { CompiledModel } from '../../models/definition.js';
import type { Log } from '../../stores/log/log.js';
import { compareVectors, wholeLog, type Skew } from './compareVectors.js';
import { expectedOutcomes, type Outcome } from './expectedOutcomes.js';
import { jsonOf, readTopic } from './readTopic.js';

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
  /** Vectors of other versions' services that were computed beside a served one, on a sample; compared, too. */
  readonly othersCompared: number;
  /** Greatest difference of a served value and the interpreter's within the cut; Infinity where one of them is null. */
  readonly maxDifference: number;
  /** Served against event time: what more would have been known had everything arrived at once, and why it was not. */
  readonly skew: Skew;
  /** The first few findings, in words. */
  readonly findings: readonly string[];
}

const MAX_FINDINGS = 20;

/**
 * Proves from the committed records of the topics that every live request ended exactly once and as it had to, and that
 * every served vector is the interpreter's value over what its cut names.
 *
 * @param liveFrom first live offset per partition of the request topic.
 * @param services what the versions that served read, besides the model's own.
 */
export async function verifyServed(
  log: Log,
  project: string,
  model: CompiledModel,
  liveFrom: ReadonlyMap<number, number>,
  onProgress: (share: number) => void = () => undefined,
  services: readonly CompiledService[] = [],
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
    jsonOf<PredictionRecord>(record),
  );
  for (const { source } of predictions) note(source.partition, source.offset, 'prediction');
  for (const [topic, outcome] of [
    [lateTopic(project), 'late'],
    [duplicatesTopic(project), 'duplicate'],
  ] as const) {
    for (const record of await readTopic(log, topic)) {
      const { source } = jsonOf<SetAsideRecord>(record);
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
  const vectors = await compareVectors(
    wholeLog(log, project, model),
    project,
    model,
    predictions,
    services,
    find,
    onProgress,
  );
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
