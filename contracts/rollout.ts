import type { Holder } from './workflows.js';

/** What a rollout does after registration: plain types, so that workflow code may import them. */

/** Steps of the saga, in order. */
export const ROLLOUT_STEPS = [
  'lease',
  'snapshot',
  'dataset',
  'dataGates',
  'evaluationFit',
  'releaseFit',
  'gates',
  'register',
  'readyFeatures',
  'shadow',
  'canary',
  'approval',
  'prepare',
  'commit',
  'bake',
  'probation',
] as const;
export type RolloutStep = (typeof ROLLOUT_STEPS)[number];

/** Identifies the rollout that a side effect belongs to; a stale token is refused. */
export interface RolloutFence {
  readonly model: string;
  readonly token: number;
}

/** What the model's definition and the state of the registry ask of this rollout. Durations in ms of stream time. */
export interface RolloutPlan {
  /** Champion at the time: what the candidate is compared with, and where a rollback goes. */
  readonly predecessor: number | null;
  /** Why no evidence can be gathered (nobody is live); null where it can. */
  readonly noEvidence: string | null;
  readonly shadow: { readonly requests: number; readonly atMostMs: number } | null;
  readonly canary: { readonly shares: readonly number[]; readonly requests: number; readonly atMostMs: number } | null;
  readonly approval: 'automatic' | 'human';
  readonly bakeMs: number | null;
  readonly probation: { readonly positives: number; readonly atMostMs: number } | null;
}

/** A part of the rollout in which the candidate is watched: one deployment, from some offsets on. */
export type WatchKind = 'shadow' | 'canary' | 'bake' | 'probation';

export interface Watch {
  /** Journal step: `shadow`, `canary/0.1`, `bake`, … */
  readonly step: string;
  readonly kind: WatchKind;
  readonly version: number;
  /** What the version is compared with; null where only the fallback serves. */
  readonly reference: number | null;
  /** Share of the entities in a canary; else 0. */
  readonly share: number;
  /** Requests wanted of the candidate's arm, or labelled positives in probation; null where time alone decides. */
  readonly wanted: number | null;
  readonly atMostMs: number;
}

export interface BegunWatch {
  /** Only predictions of this epoch count. */
  readonly epoch: number;
  /** Where the watch began in the topic of predictions (or outcomes, in probation), by partition. */
  readonly from: Readonly<Record<string, number>>;
  /** Stream time at the beginning, ms. */
  readonly since: number | null;
  /** The watch ended in an earlier attempt, and how. */
  readonly finished: WatchResult | null;
}

/** A verdict as far as workflows show it. */
export interface SaidVerdict {
  readonly gate: string;
  readonly verdict: string;
  readonly reason: string;
}

export interface WatchResult {
  readonly decision: 'pass' | 'fail' | 'inconclusive';
  /** Rows that count: requests of the candidate's arm, or labelled positives. */
  readonly seen: number;
  readonly verdicts: readonly SaidVerdict[];
  readonly reason: string;
}

/** One look at the evidence: decided, or to be continued. */
export type Look = Omit<WatchResult, 'decision'> & { readonly decision: WatchResult['decision'] | 'continue' };

/** Looks per watch, at equal shares of what is wanted. */
export const LOOKS = 3;

/** Input of the children that watch a candidate. */
export interface WatchInput {
  readonly fence: RolloutFence;
  readonly version: number;
  readonly plan: RolloutPlan;
}

export interface WatchStatus {
  readonly model: string;
  readonly version: number;
  readonly phase: string;
  readonly looks: readonly { readonly step: string; readonly look: number; readonly result: Look }[];
}

/** What a rollback or a recovery shows of itself. */
export interface ProgressStatus {
  readonly model: string;
  readonly phase: string;
  /** One line per finished step. */
  readonly steps: readonly { readonly step: string; readonly result: string }[];
}

/** How a rollout went on after its commit point. */
export interface Settled {
  readonly outcome: 'promoted' | 'rolledBack';
  readonly probation: 'confirmed' | 'inconclusive' | 'skipped' | 'failed';
  readonly reason: string;
}

/** Input of `rollbackModel`. */
export interface RollbackInput {
  readonly model: string;
  /** @default the champion where a candidate is on its way, else the newest former champion that may be served */
  readonly to?: number;
  readonly reason: string;
  readonly requestedBy?: string;
}

/** What a rollback has set out to do. */
export interface RollbackIntent {
  readonly from: number;
  readonly to: number;
  /** Token of the rollout that it fences. */
  readonly under?: number | undefined;
  readonly reason: string;
}

/** A rollback that has begun, as the lifecycle hears of it before anything is changed. */
export interface RollbackBegun {
  readonly workflowId: string;
  readonly intent: RollbackIntent;
}

export type RollbackResult =
  | {
      readonly outcome: 'rolledBack';
      readonly from: number;
      readonly to: number;
      readonly epoch: number;
      readonly token: number;
      readonly instances: number;
      /** Who has not followed, where somebody has not: the rollback stands all the same. */
      readonly behind?: string;
      readonly decided: DecidedByVersion;
    }
  | { readonly outcome: 'alreadyRolledBack'; readonly to: number };

/** What a version decided while it served: for a review of the damage. */
export interface DecidedByVersion {
  readonly requests: number;
  readonly decisions: Readonly<Record<string, number>>;
  /** First and last offset of its predictions, by partition. */
  readonly offsets: Readonly<Record<string, { readonly first: number; readonly last: number }>>;
}

/** Input of `recoverRollout`: the holder that ended without letting go. */
export interface RecoverInput {
  readonly model: string;
  readonly workflowId: string;
  /** What it had set out to do, where it was a rollback. @default what its journal says */
  readonly rollback?: RollbackIntent;
}

export type RecoverResult =
  | { readonly outcome: 'nothingToDo' }
  | { readonly outcome: 'compensated'; readonly token: number; readonly reason: string }
  | { readonly outcome: 'completed'; readonly token: number; readonly version: number; readonly settled: Settled }
  /** A rollback: what was begun is finished, wherever it had ended. */
  | { readonly outcome: 'rolledBack'; readonly token: number; readonly from: number; readonly to: number };

export interface OpenedRecovery {
  readonly fence: RolloutFence;
  /** Token of the rollout that is recovered. */
  readonly of: number;
  readonly trigger: Holder['trigger'];
  /** Set where the commit point had been passed. */
  readonly committed: { readonly version: number; readonly epoch: number; readonly plan: RolloutPlan } | null;
  /** Set where a rollback is to be finished. */
  readonly rollback?: RollbackIntent;
}

/** Answer of the entity on behalf of a person, as the rollout gets it. */
export interface ApprovalDecision {
  readonly approved: boolean;
  readonly by: string;
  /** `verified` by a signed token, or `unverified` where no issuer is set up. */
  readonly identity: 'verified' | 'unverified';
  readonly reason: string;
}

/** What an approval is bound to. */
export interface ApprovalRequest {
  readonly model: string;
  readonly version: number;
  readonly sha256: string;
  /** Hash of all evidence stored for the rollout. */
  readonly evidence: string;
  readonly token: number;
  readonly requestedBy: string | null;
}

export const SIGNAL_ROLLBACK = 'rollbackBegun';
export const SIGNAL_APPROVAL = 'approvalDecided';
export const UPDATE_ROLLBACK = 'rollback';
export const UPDATE_PAUSE = 'pause';
export const UPDATE_RESUME = 'resume';
export const UPDATE_APPROVE = 'approve';
export const UPDATE_REJECT = 'reject';

export function rollbackId(project: string, model: string, trigger: string): string {
  return `${project}/rollback/${model}/${trigger}`;
}
export function recoverId(project: string, model: string, trigger: string): string {
  return `${project}/recover/${model}/${trigger}`;
}
