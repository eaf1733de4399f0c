/** What `tidemill check` says about a project's definitions. */
export interface CheckReport {
  readonly project: string;
  readonly models: readonly ModelPlan[];
}

/** What a rollout of a model takes, in days of stream time. */
export interface ModelPlan {
  readonly model: string;
  /** Null where nothing is known: only delays count then. */
  readonly traffic: TrafficReport | null;
  readonly phases: readonly PhasePlan[];
  /** Sum over the phases, none of which begins before the one before it has ended; null: for ever. */
  readonly days: number | null;
  /** Why it cannot be kept; empty where it can. */
  readonly problems: readonly string[];
}

export interface TrafficReport {
  readonly requestsPerDay: number;
  readonly positiveShare: number;
  /** `options`, or the version whose dataset was measured: `dataset of version 3`. */
  readonly from: string;
}

export interface PhasePlan {
  /** `shadow`, `canary at 0.1`, `bake`, `probation` */
  readonly phase: string;
  /** What it waits for: `20000 requests`. */
  readonly evidence: string;
  /** The least that can be expected; null: for ever. */
  readonly days: number | null;
  /** What the model gives it. */
  readonly atMostDays: number;
}
