import type { ApprovalRequest, RollbackBegun, RolloutStep, Settled } from './rollout.js';

/** Names, inputs and results of the workflows: plain types and constants, so that workflow code may import them. */

/** Task queues are scoped by project: workers of two projects share a server without taking each other's work. */
export function lifecycleQueue(project: string): string {
  return `${project}/tidemill-lifecycle`;
}
export function trainingQueue(project: string): string {
  return `${project}/tidemill-training`;
}
/** For activities that wait: they hold a slot for days, and must not hold one that a rollback needs. */
export function waitsQueue(project: string): string {
  return `${project}/tidemill-waits`;
}
/** For audits and healings: they read for hours, a few at a time. */
export function readingQueue(project: string): string {
  return `${project}/tidemill-reading`;
}

/** The project that a task queue belongs to: how a workflow knows its own. */
export function projectOfQueue(queue: string): string {
  return queue.slice(0, queue.lastIndexOf('/'));
}

export function lifecycleId(project: string, model: string): string {
  return `${project}/lifecycle/${model}`;
}
/** The project in the id of a lifecycle. */
export function projectOfLifecycle(id: string): string {
  return id.slice(0, id.indexOf('/lifecycle/'));
}
export function retrainId(project: string, model: string, trigger: string): string {
  return `${project}/retrain/${model}/${trigger}`;
}

export const SEARCH_MODEL = 'TidemillModel';
export const SEARCH_PHASE = 'TidemillPhase';
export const SEARCH_VERSION = 'TidemillVersion';

export type TriggerKind = 'first' | 'manual' | 'schedule' | 'drift';

export interface Trigger {
  readonly kind: TriggerKind;
  readonly reason?: string;
  /** Drift only: estimated start of the change, ISO 8601. */
  readonly onset?: string;
  /** Drift only: the case in the lifecycle. */
  readonly case?: string;
}

/** Input of `retrainModel`; all but `model` optional. */
export interface RetrainInput {
  readonly model: string;
  /** @default { kind: 'manual' } */
  readonly trigger?: Trigger;
  /** Promote although no instance is live. @default false */
  readonly allowNoInstances?: boolean;
  /** Take the place of the rollout that is under way, as long as it has not committed. @default false */
  readonly supersede?: boolean;
  readonly requestedBy?: string;
}

/** Steps that the first release did not carry out: its histories journal them as skipped. */
export const FIRST_RELEASE_SKIPPED: readonly RolloutStep[] = [
  'readyFeatures',
  'shadow',
  'canary',
  'approval',
  'bake',
  'probation',
];

export type RetrainResult =
  | {
      readonly outcome: 'promoted';
      readonly version: number;
      readonly epoch: number;
      readonly token: number;
      readonly trigger: TriggerKind;
      /** What came of the time after the promotion. */
      readonly probation?: Settled['probation'];
    }
  | {
      readonly outcome: 'rolledBack';
      readonly version: number;
      readonly to: number | null;
      readonly token: number;
      readonly reason: string;
    }
  | {
      /** Another rollout, a rollback say, took over after the promotion: it decides what serves. */
      readonly outcome: 'fenced';
      readonly version: number;
      readonly token: number;
      readonly reason: string;
    }
  | {
      readonly outcome: 'notPromoted';
      readonly version: number | null;
      readonly token: number;
      readonly reason: string;
    }
  | { readonly outcome: 'refused'; readonly reason: string };

export interface RetrainStatus {
  readonly model: string;
  readonly phase: RolloutStep | 'starting' | 'queued' | 'compensating' | 'done';
  readonly token: number | null;
  readonly version: number | null;
  readonly trigger: TriggerKind;
  /** One line per finished step. */
  readonly steps: readonly { readonly step: RolloutStep; readonly result: string }[];
  /** What waits for a person's approval; null where nothing does. */
  readonly approval?: ApprovalRequest | null;
}

/** Input of `modelLifecycle`; the rest is carried through continue-as-new. */
export interface LifecycleInput {
  readonly model: string;
  readonly carried?: LifecycleCarried;
}

export interface LifecycleCarried {
  readonly sources: Readonly<Record<string, SourceMark>>;
  readonly cases: readonly DriftCase[];
  readonly holder: Holder | null;
  readonly queued: Holder | null;
  readonly decidedAt: number | null;
  readonly automaticAt: readonly number[];
  readonly paused?: Paused | null;
  /** Rollbacks that have not closed. */
  readonly rollbacks?: readonly RollbackBegun[];
  readonly displaced?: readonly Displaced[];
}

/** A workflow that waited for the lease until another one superseded all before it. */
export interface Displaced {
  readonly workflowId: string;
  /** Id of who waits in its place. */
  readonly by: string;
}

/** Nothing starts by itself while a model is paused; a person may still roll out. */
export interface Paused {
  readonly by: string;
  readonly reason: string;
}

/** Which signals of a source have been seen: everything up to `high` but for the gaps. */
export interface SourceMark {
  readonly high: number;
  readonly gaps: readonly number[];
}

export interface DriftCase {
  readonly id: string;
  readonly source: string;
  readonly version: number;
  /** Event time, ms. */
  readonly onset: number;
  readonly detectedAt: number;
  /** Findings that were merged into it. */
  readonly findings: number;
  readonly state: 'open' | 'waiting-for-labels' | 'stalled' | 'training' | 'decided';
  readonly note: string;
  /** How far things were when it stalled. */
  readonly stalledAt?: LabelProgress;
}

/** How far a model's stream time and labels are. */
export interface LabelProgress {
  /** Watermark of the request stream, ms. */
  readonly streamTime: number | null;
  /** Grows with every outcome. */
  readonly outcomes: number;
}

/** What came of waiting for labelled positives. */
export type LabelWait =
  | { readonly kind: 'there'; readonly positives: number }
  | { readonly kind: 'stalled'; readonly positives: number; readonly at: LabelProgress; readonly reason: string };

export interface Holder {
  readonly workflowId: string;
  readonly trigger: TriggerKind | 'rollback' | 'recovery';
  /** Asked to take the place of the holder. */
  readonly supersede?: boolean;
  /** Was given the lease while it waited, and has not come for it yet. */
  readonly isExpected?: boolean;
}

export type AcquireAnswer =
  { readonly kind: 'granted' } | { readonly kind: 'queued' } | { readonly kind: 'refused'; readonly reason: string };

export interface LifecycleStatus {
  readonly model: string;
  readonly cases: readonly DriftCase[];
  readonly rollout: Holder | null;
  readonly queued: Holder | null;
  readonly paused?: Paused | null;
  /** Workflows of the rollbacks under way. */
  readonly rollbacks?: readonly string[];
}

/** A finding of the monitor, as the signal `driftDetected` carries it. */
export interface DriftSignal {
  readonly source: string;
  readonly sequence: number;
  readonly version: number;
  readonly onset: number;
  readonly detectedAt: number;
}

export interface RolloutClosed {
  readonly workflowId: string;
  readonly outcome: string;
  /** Stream time of the decision, ms; null where it is not known. */
  readonly at: number | null;
}

export const SIGNAL_DRIFT = 'driftDetected';
export const SIGNAL_CLOSED = 'rolloutClosed';
export const SIGNAL_GRANTED = 'rolloutGranted';
export const UPDATE_ACQUIRE = 'acquireRollout';
export const UPDATE_RETRAIN = 'requestRetrain';
export const QUERY_STATUS = 'status';
