import type { PredictionRecord } from '../../../contracts/records.js';
import {
  cutsTopic,
  deadLetterTopic,
  driftTopic,
  duplicatesTopic,
  lateTopic,
  outcomesTopic,
  predictionsTopic,
  reportsTopic,
  streamTopic,
} from '../../../contracts/topics.js';
import { checkFuture, parseEvent } from '../../../features/eventContract.js';
import type { CompiledField, CompiledService, CompiledStream } from '../../../features/compiledView.js';
import type { Value, ValueType } from '../../../features/types.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { plainStream } from './plainStream.js';
import { rawRow, rawStream } from './rawRows.js';
import { REPORT_STREAM, reportRow } from './reportRows.js';

/** How the records of a topic become rows of its archive. */
export interface ArchivedTopic {
  readonly topic: string;
  /** Does the platform fill it, or a user? */
  readonly isProduced: boolean;
  /** Columns of the files. */
  readonly stream: CompiledStream;
  /** Columns of a file of these rows, where they are not always the same; rows that are shorter end in nulls. */
  fitted?(rows: readonly (readonly Value[])[]): CompiledStream;
  /** Values of a record; null for one that breaks the contract: it is in the dead-letter topic. */
  row(record: LogRecord): readonly Value[] | null;
}

/**
 * Every topic of a model's stream, its own and those that it produces.
 *
 * @param services of versions in use: what they read is kept as long as they are.
 */
export function archivedTopics(
  project: string,
  model: CompiledModel,
  services: readonly CompiledService[] = [],
): ArchivedTopic[] {
  const streams = new Map([model.request, model.label.stream].map((stream) => [stream.name, stream]));
  for (const input of [model.service, ...services].flatMap(({ inputs }) => inputs)) {
    const { stream } = input.view;
    // The definition's own contract counts.
    if (!streams.has(stream.name)) streams.set(stream.name, stream);
  }
  const raw = [
    cutsTopic(project, model.name),
    outcomesTopic(project, model.name),
    driftTopic(project),
    lateTopic(project),
    duplicatesTopic(project),
    deadLetterTopic(project),
  ];
  return [
    ...[...streams.values()].map((stream) => eventTopic(streamTopic(project, stream.name), stream)),
    predictionTopic(predictionsTopic(project, model.name), model),
    reportTopic(reportsTopic(project, model.name)),
    ...raw.map(rawTopic),
  ];
}

function eventTopic(topic: string, stream: CompiledStream): ArchivedTopic {
  return {
    topic,
    isProduced: false,
    stream,
    row: (record) => {
      try {
        const event = parseEvent(stream, record.value);
        checkFuture(stream, event.time, record.timestamp);
        return event.values;
      } catch {
        // The topology that reads this stream for its meaning sets it aside with its reason; here it only has no row.
        return null;
      }
    },
  };
}

const INT: ValueType = { kind: 'int' };
const TEXT: ValueType = { kind: 'string' };

/**
 * Predictions with a column per feature: what was served, as training reads it. `others` is JSON: a list of OtherScore.
 *
 * @param width columns of the longest vector in the file; versions may read services of their own. @default the definition's
 */
export function predictionStream(model: CompiledModel, width: number = model.service.columns.length): CompiledStream {
  const id = model.request.fields[model.request.eventId]?.type ?? INT;
  return plainStream(`${model.name}-predictions`, [
    { name: 'id', type: id, nullable: false },
    { name: 'at', type: { kind: 'timestamp' }, nullable: false },
    { name: 'version', type: INT, nullable: false },
    { name: 'epoch', type: INT, nullable: false },
    { name: 'role', type: TEXT, nullable: false },
    { name: 'arm', type: TEXT, nullable: false },
    { name: 'score', type: { kind: 'double' }, nullable: false },
    { name: 'decision', type: TEXT, nullable: false },
    { name: 'micros', type: INT, nullable: false },
    { name: 'others', type: TEXT, nullable: false },
    { name: 'service', type: TEXT, nullable: false },
    { name: 'cut', type: TEXT, nullable: true },
    { name: 'request_partition', type: INT, nullable: false },
    { name: 'request_offset', type: INT, nullable: false },
    ...Array.from({ length: width }, (_, at): CompiledField => ({
      name: `column_${at}`,
      type: { kind: 'double' },
      nullable: true,
    })),
  ]);
}

/** Place of the service's hash among the fields. */
const SERVICE_FIELD = 10;

function predictionTopic(topic: string, model: CompiledModel): ArchivedTopic {
  return {
    topic,
    isProduced: true,
    stream: predictionStream(model),
    row: ({ value }) => {
      const prediction = JSON.parse(value?.toString('utf8') ?? 'null') as PredictionRecord;
      const { id, at, version, epoch, role, arm, score, decision, micros, service, cut, source, vector } = prediction;
      const others = JSON.stringify(prediction.others);
      const served = [id, at, version, epoch, role, arm, score, decision, micros, others, service, cut];
      // What was never computed must not be learned as null, nor what windows had forgotten: such a row names no service.
      if (prediction.absent !== undefined || prediction.replay?.late === true) served[SERVICE_FIELD] = '';
      return [...served, source.partition, source.offset, ...vector];
    },
    fitted: (rows) => {
      const fixed = predictionStream(model, 0).fields.length;
      return predictionStream(model, Math.max(0, ...rows.map((row) => row.length - fixed)));
    },
  };
}

function reportTopic(topic: string): ArchivedTopic {
  return { topic, isProduced: true, stream: REPORT_STREAM, row: ({ value }) => reportRow(value) };
}

function rawTopic(topic: string): ArchivedTopic {
  return { topic, isProduced: true, stream: rawStream(topic), row: rawRow };
}
