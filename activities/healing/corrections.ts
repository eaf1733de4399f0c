import type { CorrectionRecord } from '../../contracts/records.js';
import { correctionsTopic, correctionsWriter } from '../../contracts/topics.js';
import { parseEvent } from '../../features/eventContract.js';
import type { CompiledView } from '../../features/compiledView.js';
import type { LoggedEvent } from '../../features/types.js';
import type { Log, OutgoingRecord, TransactionalProducer } from '../../stores/log/log.js';
import { jsonOf } from '../audit/readTopic.js';

/** Records handed to the log at a time, within one transaction. */
const SEND_RECORDS = 500;

/** Where the corrections of one partition of a view go. */
export interface CorrectionsPlace {
  readonly project: string;
  readonly view: CompiledView;
  readonly partition: number;
}

/** A correction in its topic. */
export interface WrittenCorrection {
  /** Its own offset, not its event's. */
  readonly at: number;
  readonly event: LoggedEvent;
  readonly inTime: boolean;
}

/**
 * Takes over the writing of a partition's corrections: from now on whatever others have written is visible, and what they
 * have not committed never will be.
 */
export function takeCorrections(
  log: Log,
  { project, view, partition }: CorrectionsPlace,
): Promise<TransactionalProducer> {
  return log.transactionalProducer(correctionsWriter(project, view.name, partition));
}

/** The corrections of a partition from an offset of their topic on. */
export async function* correctionsFrom(
  log: Log,
  { project, view, partition }: CorrectionsPlace,
  from: number,
): AsyncIterable<WrittenCorrection> {
  const topic = correctionsTopic(project, view.name);
  const ends = (await log.offsets(topic)).find((each) => each.partition === partition);
  const first = Math.max(from, ends?.low ?? 0);
  if (ends === undefined || first >= ends.high) return;
  for await (const records of log.read({ topic, partition, from: first, to: ends.high })) {
    for (const record of records) {
      const { value, partition: source, offset, inTime } = jsonOf<CorrectionRecord>(record);
      const event = { ...parseEvent(view.stream, value), partition: source, offset };
      yield { at: record.offset, event, inTime: inTime === true };
    }
  }
}

/** An event to be written as a correction. */
export interface LackingEvent {
  readonly event: LoggedEvent;
  readonly text: string;
  readonly isLate: boolean;
}

/** Writes corrections, all or none. */
export async function writeCorrections(
  producer: TransactionalProducer,
  { project, view, partition }: CorrectionsPlace,
  lacking: readonly LackingEvent[],
): Promise<void> {
  if (lacking.length === 0) return;
  const topic = correctionsTopic(project, view.name);
  await producer.begin();
  for (let at = 0; at < lacking.length; at += SEND_RECORDS) {
    await producer.send(
      lacking.slice(at, at + SEND_RECORDS).map(({ event, text, isLate }): OutgoingRecord => {
        const record: CorrectionRecord = {
          partition: event.partition,
          offset: event.offset,
          value: text,
          ...(isLate ? {} : { inTime: true }),
        };
        return { topic, partition, key: String(event.values[view.key]), value: JSON.stringify(record) };
      }),
    );
  }
  await producer.commit();
}
