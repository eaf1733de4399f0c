import { jsonOf, readTopic } from '../activities/audit/readTopic.js';
import type {
  ArchiveManifestRecord,
  CutRecord,
  DeadLetterHeaders,
  DriftRecord,
  OutcomeRecord,
  PredictionRecord,
  SetAsideRecord,
} from '../contracts/records.js';
import type { ReportRecord } from '../contracts/performanceReport.js';
import {
  archiveTopic,
  cutsTopic,
  deadLetterTopic,
  driftTopic,
  duplicatesTopic,
  lateTopic,
  outcomesTopic,
  predictionsTopic,
  reportsTopic,
  streamTopic,
} from '../contracts/topics.js';
import type { CompiledModel } from '../models/definition.js';
import type { Log, LogRecord } from '../stores/log/log.js';
import type { Sent } from './inputs.js';
import { featuresOf, type Features } from './scorers.js';

/** A committed prediction, its vector by the names of the model's columns. */
export interface Prediction extends PredictionRecord {
  readonly features: Features;
}

/** A record that could not be processed. */
export interface DeadLetter {
  readonly source: Sent;
  /** Code of the error, like `EVENT_MALFORMED`. */
  readonly code: string;
  readonly message: string;
  /** The original text. */
  readonly value: string;
}

/** What became of a record. */
export type Answer =
  | { readonly kind: 'prediction'; readonly prediction: Prediction }
  | { readonly kind: 'late'; readonly record: SetAsideRecord }
  | { readonly kind: 'duplicate'; readonly record: SetAsideRecord }
  | { readonly kind: 'deadLetter'; readonly record: DeadLetter };

/** Reads what was committed to a project's output topics, as typed records. */
export class Outputs {
  constructor(
    private readonly log: Log,
    private readonly project: string,
  ) {}

  /** In the order in which the requests came, partition by partition. */
  async predictions(model: CompiledModel): Promise<Prediction[]> {
    const records = await this.read<PredictionRecord>(predictionsTopic(this.project, model.name));
    return records
      .map((each) => ({ ...each, features: featuresOf(model, each.vector) }))
      .sort((a, b) => a.source.partition - b.source.partition || a.source.offset - b.source.offset);
  }

  cuts(model: CompiledModel): Promise<CutRecord[]> {
    return this.read(cutsTopic(this.project, model.name));
  }

  outcomes(model: CompiledModel): Promise<OutcomeRecord[]> {
    return this.read(outcomesTopic(this.project, model.name));
  }

  drift(): Promise<DriftRecord[]> {
    return this.read(driftTopic(this.project));
  }

  reports(model: CompiledModel): Promise<ReportRecord[]> {
    return this.read(reportsTopic(this.project, model.name));
  }

  late(): Promise<SetAsideRecord[]> {
    return this.read(lateTopic(this.project));
  }

  duplicates(): Promise<SetAsideRecord[]> {
    return this.read(duplicatesTopic(this.project));
  }

  archive(): Promise<ArchiveManifestRecord[]> {
    return this.read(archiveTopic(this.project));
  }

  async deadLetters(): Promise<DeadLetter[]> {
    return (await readTopic(this.log, deadLetterTopic(this.project))).map(({ headers, value }) => {
      const known = headers as unknown as DeadLetterHeaders;
      return {
        source: {
          topic: String(known['original-topic']),
          partition: Number(known['original-partition']),
          offset: Number(known['original-offset']),
        },
        code: String(known.code),
        message: String(known.message),
        value: value?.toString('utf8') ?? '',
      };
    });
  }

  /** Events that windows wrote to a stream. */
  results(stream: string): Promise<Readonly<Record<string, unknown>>[]> {
    return this.read(streamTopic(this.project, stream));
  }

  records(topic: string): Promise<LogRecord[]> {
    return readTopic(this.log, topic);
  }

  /** Everything that became of a record, for any of the models; one answer a model where all is well. */
  async answersTo(sent: Sent, models: readonly CompiledModel[]): Promise<Answer[]> {
    const isIt = ({ source }: { readonly source: Sent }): boolean =>
      source.topic === sent.topic && source.partition === sent.partition && source.offset === sent.offset;
    const predictions = (await Promise.all(models.map((model) => this.predictions(model)))).flat();
    return [
      ...predictions.filter(isIt).map((prediction) => ({ kind: 'prediction', prediction }) as const),
      ...(await this.late()).filter(isIt).map((record) => ({ kind: 'late', record }) as const),
      ...(await this.duplicates()).filter(isIt).map((record) => ({ kind: 'duplicate', record }) as const),
      ...(await this.deadLetters()).filter(isIt).map((record) => ({ kind: 'deadLetter', record }) as const),
    ];
  }

  private async read<T>(topic: string): Promise<T[]> {
    return (await readTopic(this.log, topic)).map((record) => jsonOf<T>(record));
  }
}
