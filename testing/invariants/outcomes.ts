import { jsonOf, readTopic } from '../../activities/audit/readTopic.js';
import type { OutcomeRecord, PredictionRecord } from '../../contracts/records.js';
import { outcomesTopic, predictionsTopic, streamTopic } from '../../contracts/topics.js';
import { checkFuture, parseEvent } from '../../features/eventContract.js';
import type { CompiledModel } from '../../models/definition.js';
import type { Log } from '../../stores/log/log.js';

/**
 * Every prediction whose label came while it was remembered has an outcome, none has one that nothing stands for, and the
 * revisions of each count up from 0 without a gap or a repetition. Returns how many outcomes there are.
 */
export async function compareOutcomes(
  log: Log,
  project: string,
  model: CompiledModel,
  labelsFrom: ReadonlyMap<number, number>,
  find: (text: string) => void,
): Promise<number> {
  const { newest, labelled } = await labelsOf(log, project, model, labelsFrom);
  const read = async <T>(topic: string): Promise<T[]> => (await readTopic(log, topic)).map((each) => jsonOf<T>(each));
  const predictions = byId(await read<PredictionRecord>(predictionsTopic(project, model.name)));
  const outcomes = await read<OutcomeRecord>(outcomesTopic(project, model.name));
  const joined = byId(outcomes);
  for (const id of joined.keys()) if (!predictions.has(id)) find(`${model.name} ${id}: an outcome of no prediction`);
  for (const [id, [prediction, ...more]] of predictions) {
    // Requests that share an id are told apart by time and key, which labels do not carry: they are not judged here.
    if (prediction === undefined || more.length > 0) continue;
    const found = joined.get(id) ?? [];
    const revisions = found.map(({ revision }) => revision).sort((a, b) => a - b);
    if (revisions.some((revision, at) => revision !== at))
      find(`${model.name} ${id}: outcomes of the revisions ${revisions.join(', ')}`);
    const isRemembered = newest <= prediction.at + model.label.retentionMs;
    if (labelled.has(id) && isRemembered && found.length === 0) find(`${model.name} ${id}: has a label and no outcome`);
    // A decision that keeps the truth from showing keeps it from being told of, too.
    const isAbsent = found.every(({ source }) => source !== 'natural');
    if (!labelled.has(id) && !(isAbsent && (found.length === 0 || model.label.absence === 'negative')))
      find(`${model.name} ${id}: has an outcome and no label`);
  }
  return outcomes.length;
}

/** Ids that have a label, and the greatest time at which one became known. */
async function labelsOf(
  log: Log,
  project: string,
  model: CompiledModel,
  labelsFrom: ReadonlyMap<number, number>,
): Promise<{ readonly labelled: ReadonlySet<string>; readonly newest: number }> {
  const { stream } = model.label;
  const labelled = new Set<string>();
  let newest = Number.NEGATIVE_INFINITY;
  for (const { partition, offset, timestamp, value } of await readTopic(log, streamTopic(project, stream.name))) {
    if (offset < (labelsFrom.get(partition) ?? 0)) continue;
    try {
      const event = parseEvent(stream, value);
      checkFuture(stream, event.time, timestamp);
      labelled.add(String(event.id));
      newest = Math.max(newest, event.time);
    } catch {
      // A dead letter labels nothing.
    }
  }
  return { labelled, newest };
}

function byId<T extends { readonly id: string | number }>(records: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const record of records) found.set(String(record.id), [...(found.get(String(record.id)) ?? []), record]);
  return found;
}
