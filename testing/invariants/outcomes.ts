import { jsonOf, readTopic } from '../../activities/audit/readTopic.js';
import type { OutcomeRecord, PredictionRecord } from '../../contracts/records.js';
import { outcomesTopic, predictionsTopic, streamTopic } from '../../contracts/topics.js';
import { checkFuture, parseEvent } from '../../features/eventContract.js';
import type { CompiledModel } from '../../models/definition.js';
import type { Log } from '../../stores/log/log.js';

/** Every prediction with a label has one outcome, and no other has any. Returns how many outcomes there are. */
export async function compareOutcomes(
  log: Log,
  project: string,
  model: CompiledModel,
  labelsFrom: ReadonlyMap<number, number>,
  find: (text: string) => void,
): Promise<number> {
  const { stream } = model.label;
  const labelled = new Set<string>();
  for (const { partition, offset, timestamp, value } of await readTopic(log, streamTopic(project, stream.name))) {
    if (offset < (labelsFrom.get(partition) ?? 0)) continue;
    try {
      const event = parseEvent(stream, value);
      checkFuture(stream, event.time, timestamp);
      labelled.add(String(event.id));
    } catch {
      // A dead letter labels nothing.
    }
  }
  const times = (ids: readonly (string | number)[]): Map<string, number> => {
    const counted = new Map<string, number>();
    for (const id of ids) counted.set(String(id), (counted.get(String(id)) ?? 0) + 1);
    return counted;
  };
  const read = async <T>(topic: string): Promise<T[]> =>
    (await readTopic(log, topic)).map((record) => jsonOf<T>(record));
  const predicted = times((await read<PredictionRecord>(predictionsTopic(project, model.name))).map(({ id }) => id));
  const outcomes = await read<OutcomeRecord>(outcomesTopic(project, model.name));
  const joined = times(outcomes.map(({ id }) => id));
  for (const id of new Set([...predicted.keys(), ...joined.keys()])) {
    // Requests that share an id are told apart by time and key, which labels do not carry: they are not judged here.
    if ((predicted.get(id) ?? 0) > 1) continue;
    const expected = predicted.has(id) && labelled.has(id) ? 1 : 0;
    if ((joined.get(id) ?? 0) !== expected)
      find(`${model.name} ${id}: ${joined.get(id) ?? 0} outcomes, ${expected} expected`);
  }
  return outcomes.length;
}
