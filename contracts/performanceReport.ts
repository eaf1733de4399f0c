import type { OutcomeRecord, ScoreRole } from './records.js';

/**
 * How a version did on the requests of one bucket of event time; value of the topic `reports`, key: `MODEL/VERSION`. Of the
 * reports of a bucket the newest one that has a part counts, by generation and revision: the first tells of the predictions, later
 * ones of their labels, and of whatever came late.
 */
export interface ReportRecord {
  readonly model: string;
  /** 0 for the model's rules. */
  readonly version: number;
  /** What the version was in the deployment of the request; it may have scored the request without serving it. */
  readonly role: ScoreRole;
  /** Event time of the requests, ms: from <= at < to. */
  readonly from: number;
  readonly to: number;
  /** Of the monitor: one that was reset may tell of a bucket again. */
  readonly generation: number;
  /** Counts up from 0 in each generation. */
  readonly revision: number;
  /** Null until the bucket is complete in every partition. */
  readonly predictions: PredictionReport | null;
  /** Null until the labels of the bucket are known in every partition. */
  readonly outcomes: OutcomeReport | null;
  /** What the numbers were made from: reports of several buckets are made from the sums of these. */
  readonly counts: {
    readonly predictions: EncodedPredictionCounts | null;
    readonly outcomes: EncodedOutcomeCounts | null;
  };
}

/** What a version said. Shares and rates are 0..1. */
export interface PredictionReport {
  /** Requests that the version scored. */
  readonly rows: number;
  /** Those of them that it answered. */
  readonly served: number;
  /** Requests that it was asked about and has no score of. */
  readonly failed: number;
  /** Share of each decision among the rows. */
  readonly decisionShares: Readonly<Record<string, number>>;
  /** Null without rows. Read off a histogram: true to about an eighth of the odds. */
  readonly scoreQuantiles: ScoreQuantiles | null;
  /** Share of nulls of each input among the vectors that were served whole; inputs without nulls are left out. */
  readonly nullRates: Readonly<Record<string, number>>;
}

export interface ScoreQuantiles {
  readonly p5: number;
  readonly p25: number;
  readonly p50: number;
  readonly p75: number;
  readonly p95: number;
  readonly p99: number;
}

/** What became of a version's predictions. Censored labels are counted by source and in nothing else. */
export interface OutcomeReport {
  /** Requests with a label that can be trusted. */
  readonly rows: number;
  readonly bySource: Readonly<Partial<Record<LabelSource, number>>>;
  readonly positives: number;
  /** Share of positives; like the rest null without rows. */
  readonly labelRate: number | null;
  /** Mean negative log-likelihood. */
  readonly logLoss: number | null;
  /** Mean squared error. */
  readonly brier: number | null;
  /** Expected calibration error over ten bins of equal width. */
  readonly calibrationError: number | null;
}

export type LabelSource = OutcomeRecord['source'];

/** Counts as pairs of an index and its count, without those that are 0, in ascending order. */
export type SparseCounts = readonly (readonly [at: number, count: number])[];

export interface EncodedPredictionCounts {
  readonly rows: number;
  readonly served: number;
  readonly failed: number;
  readonly decisions: readonly (readonly [decision: string, rows: number])[];
  /** By bin of models/monitoring/scoreBins.ts. */
  readonly scores: SparseCounts;
  /** By feature service: vectors, and nulls by column. */
  readonly nulls: readonly (readonly [service: string, vectors: number, columns: SparseCounts])[];
}

export interface EncodedOutcomeCounts {
  readonly sources: readonly (readonly [source: LabelSource, rows: number])[];
  readonly positives: number;
  /** Sums over the rows that can be trusted, each rounded to 2^-24: exact, in whatever order they are added. */
  readonly logLoss: number;
  readonly brier: number;
  readonly calibration: readonly (readonly [bin: number, rows: number, scores: number, positives: number])[];
}

/** One row of `tidemill models report`: a version in a role on one day, or over whatever the buckets span. */
export interface PerformanceRow extends Pick<ReportRecord, 'model' | 'version' | 'role' | 'predictions' | 'outcomes'> {
  /** ISO 8601, UTC. */
  readonly from: string;
  readonly to: string;
}
