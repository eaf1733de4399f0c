import type { AuditSchedule, HealSchedule, ScheduleSpec } from '../contracts/schedules.js';
import type { CompiledService, CompiledStream } from '../features/compiledView.js';
import type { LabelSpec } from './labelSpec.js';
import type { Expression } from '../features/expression.js';

/** A compiled model definition: plain and serialisable. Every duration is stream time, ms, but for `schedule` and `stallAfterMs`. */
export interface CompiledModel {
  readonly kind: 'model';
  readonly name: string;
  readonly hash: string;
  readonly task: 'binary';
  readonly service: CompiledService;
  readonly request: CompiledStream;
  /** Stream and field index of the label; the label's event id is the request's id. */
  readonly label: LabelSpec & { readonly stream: CompiledStream; readonly field: number; readonly delayMs: number };
  /** Field index in the request stream by which rows are clustered in tests and split in canaries. */
  readonly entity: number;
  readonly trainer: TrainerSpec;
  readonly split: { readonly trainMs: number; readonly testMs: number };
  readonly gates: {
    readonly absolute: readonly AbsoluteGate[];
    readonly refresh: readonly ComparativeGate[];
    readonly drift: readonly ComparativeGate[];
    /** Guards of shadow, canary and bake, one of a kind; `errors` is always among them. */
    readonly operational: readonly OperationalGate[];
  };
  readonly rollout: RolloutSpec;
  readonly drift: DriftSpec;
  readonly rules: DecisionRules;
  readonly fallback: FallbackRules;
  readonly minReady: number;
  readonly approval: 'automatic' | 'human';
  /** Without progress of stream time for so long, ms of wall time, nothing will be decided. */
  readonly stallAfterMs: number;
  /** Left out where requests are answered as they arrive. */
  readonly ordering?: OrderingSpec;
  /** When it is retrained without anybody asking; null where nobody but drift and people do. */
  readonly schedule: ScheduleSpec | null;
  /** When the vectors that it served are audited without anybody asking. @default never */
  readonly audit?: AuditSchedule;
  /** When the online store is healed of what its views lack there without anybody asking. @default never */
  readonly heal?: HealSchedule;
}

/** Requests wait until everything up to their time is there. */
export interface OrderingSpec {
  /** Longest wait, wall time, while nobody has more to read. */
  readonly maxWaitMs: number;
  /** How far a source partition may run ahead of the slowest one, stream time. */
  readonly maxDriftMs: number;
}

export type TrainerSpec =
  | {
      readonly kind: 'xgboost';
      readonly rounds: number;
      readonly maxDepth: number;
      readonly learningRate: number;
      /** `exact`, `hist`, `approx`; default `hist`. */
      readonly treeMethod: 'exact' | 'hist' | 'approx';
      /** null: estimated by XGBoost. */
      readonly baseScore: number | null;
      readonly seed: number;
      /** Rounds between two checkpoints. */
      readonly segmentRounds: number;
    }
  | { readonly kind: 'logistic'; readonly l2: number; readonly maxIterations: number; readonly seed: number };

export type MetricName = 'auc' | 'average_precision' | 'log_loss' | 'brier' | 'calibration_error' | 'precision_at_100';

/** `atLeast`: metric >= bound; `atMost`: metric <= bound (calibrated(0.05) is atMost calibration_error 0.05). */
export interface AbsoluteGate {
  readonly kind: 'atLeast' | 'atMost';
  readonly metric: MetricName;
  readonly bound: number;
}

/** notWorse: the true difference is above -margin; superior: it is above 0; both by paired clustered bootstrap, one-sided 5 %. */
export interface ComparativeGate {
  readonly kind: 'notWorse' | 'superior';
  readonly metric: 'average_precision' | 'auc';
  readonly margin: number;
}

/**
 * Guards without labels: each bounds a share of requests, and must be shown to be below its margin.
 *
 *   latency     requests that the version did not score within the limit: margin 1 - share
 *   errors      requests on which it failed, minus those on which the champion failed
 *   agreement   requests that it decides otherwise than the champion
 *   skew        served vectors that differ from those recomputed in event time
 */
export type OperationalGate =
  | { readonly kind: 'latency'; readonly share: number; readonly underMicros: number }
  | { readonly kind: 'errors' | 'agreement' | 'skew'; readonly margin: number };

/** Steps of a rollout after registration; null where the model declares none. */
export interface RolloutSpec {
  readonly shadow: { readonly requests: number; readonly atMostMs: number } | null;
  /** `requests` counts those of the challenger's arm, per share. */
  readonly canary: { readonly shares: readonly number[]; readonly requests: number; readonly atMostMs: number } | null;
  readonly bakeMs: number | null;
  readonly probation: { readonly positives: number; readonly atMostMs: number } | null;
}

export interface DriftSpec {
  readonly seasonMs: number;
  readonly quietMs: number;
  /** At most `count` automatic rollouts per `perMs`. */
  readonly budget: { readonly count: number; readonly perMs: number };
  /** Labelled positives among requests made after the onset before a drift case trains. */
  readonly freshPositives: number;
}

/** First rule that holds decides; conditions are over the request's fields and `score` (a field named `score`, double). */
export interface DecisionRules {
  readonly rules: readonly { readonly when: Expression; readonly decision: string }[];
  readonly otherwise: string;
}

/** Score without a model: an expression over the request's fields. */
export interface FallbackRules {
  readonly score: Expression;
}
