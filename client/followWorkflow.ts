import { setTimeout as sleep } from 'node:timers/promises';
import { isTidemillError } from '../contracts/errors.js';
import type { ApprovalRequest, ProgressStatus, WatchStatus } from '../contracts/rollout.js';
import type { DriftCase, LifecycleStatus, RetrainStatus } from '../contracts/workflows.js';

/** One change of a workflow that is being followed. The last one is `result` or `failed`. */
export type FollowChange =
  /** A step of a rollout has been finished. */
  | { readonly kind: 'step'; readonly step: string; readonly result: string }
  /** A look at the evidence of a watched candidate. */
  | {
      readonly kind: 'look';
      readonly step: string;
      readonly look: number;
      readonly decision: string;
      readonly seen: number;
      readonly reason: string;
    }
  /** A rollout waits for a person's approval from now on. */
  | { readonly kind: 'approval'; readonly request: ApprovalRequest }
  /** What a workflow is doing from now on. */
  | { readonly kind: 'phase'; readonly phase: string; readonly version: number | null }
  /** A drift case of a lifecycle is new or has changed. */
  | { readonly kind: 'case'; readonly case: DriftCase }
  /** Who is rolling out in a lifecycle from now on; null: nobody. */
  | { readonly kind: 'rollout'; readonly workflowId: string | null }
  /** Nobody answers for the workflow: no worker serves it, or the server is away. Followed on all the same. */
  | { readonly kind: 'waiting'; readonly reason: string }
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly status: string; readonly code: string | null; readonly message: string };

/** What following needs to know about one workflow. */
export interface FollowedWorkflow {
  /** Has it ended? Answered by the server alone. @throws TidemillError WORKFLOW_NOT_FOUND, TEMPORAL_UNAVAILABLE */
  isRunning(): Promise<boolean>;
  /** Answer of its query `status`: null where it has none, `silent` where no worker answers in time. */
  status(): Promise<{ readonly kind: 'answered'; readonly status: unknown } | { readonly kind: 'silent' }>;
  /** How it ended. */
  end(): Promise<Extract<FollowChange, { kind: 'result' | 'failed' }>>;
}

/** How long a server may be away before following gives up. */
const MAX_AWAY_MS = 60_000;

/**
 * Follows a workflow from wherever it is to its end. Each finished step comes once, also those from before; what the last
 * status says comes before the end.
 *
 * @param options.pollMs between two looks. @default 500
 * @throws TidemillError WORKFLOW_NOT_FOUND; TEMPORAL_UNAVAILABLE after a minute without an answer.
 */
export async function* followWorkflow(
  workflow: FollowedWorkflow,
  options: { readonly pollMs?: number; readonly signal?: AbortSignal } = {},
): AsyncIterable<FollowChange> {
  const { pollMs = 500, signal } = options;
  const seen = new StatusChanges();
  let awayMs = 0;
  let waiting: string | null = null;
  const wait = function* (reason: string | null): Iterable<FollowChange> {
    if (reason !== null && reason !== waiting) yield { kind: 'waiting', reason };
    waiting = reason;
  };
  while (signal?.aborted !== true) {
    let isRunning: boolean;
    try {
      isRunning = await workflow.isRunning();
      awayMs = 0;
    } catch (error) {
      if (!isTidemillError(error, 'TEMPORAL_UNAVAILABLE') || awayMs >= MAX_AWAY_MS) throw error;
      yield* wait('the server does not answer');
      awayMs += pollMs;
      await sleep(pollMs);
      continue;
    }
    // Asked after the state: the status of one that has ended is its last.
    const answer = await workflow.status();
    yield* wait(answer.kind === 'silent' && isRunning ? 'no worker answers for it' : null);
    if (answer.kind === 'answered') yield* seen.changes(answer.status);
    if (!isRunning) {
      yield await workflow.end();
      return;
    }
    await sleep(pollMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}

/** What has been said already, so that only changes are said. */
class StatusChanges {
  /** Steps or looks. */
  private steps = 0;
  private approval: number | null = null;
  private phase: string | null = null;
  private rollout: string | null = null;
  private readonly cases = new Map<string, string>();

  *changes(status: unknown): Iterable<FollowChange> {
    if (isProgress(status)) yield* this.progress(status);
    else if (isWatch(status)) yield* this.watch(status);
    else if (isLifecycle(status)) yield* this.lifecycle(status);
  }

  private *progress(status: Progress): Iterable<FollowChange> {
    const { steps, phase, version = null, approval = null } = status;
    for (const { step, result } of steps.slice(this.steps)) yield { kind: 'step', step, result };
    this.steps = Math.max(this.steps, steps.length);
    yield* this.enter(phase, version);
    if (approval !== null && approval.token !== this.approval) yield { kind: 'approval', request: approval };
    this.approval = approval?.token ?? null;
  }

  private *watch({ looks, phase, version }: WatchStatus): Iterable<FollowChange> {
    for (const { step, look, result } of looks.slice(this.steps)) {
      const { decision, seen, reason } = result;
      yield { kind: 'look', step, look, decision, seen, reason };
    }
    this.steps = Math.max(this.steps, looks.length);
    yield* this.enter(phase, version);
  }

  private *enter(phase: string, version: number | null): Iterable<FollowChange> {
    if (phase === this.phase) return;
    this.phase = phase;
    yield { kind: 'phase', phase, version };
  }

  private *lifecycle({ cases, rollout }: LifecycleStatus): Iterable<FollowChange> {
    for (const each of cases) {
      const text = `${each.state} ${each.note} ${each.findings}`;
      if (this.cases.get(each.id) === text) continue;
      this.cases.set(each.id, text);
      yield { kind: 'case', case: each };
    }
    const holder = rollout?.workflowId ?? null;
    if (holder === this.rollout) return;
    this.rollout = holder;
    yield { kind: 'rollout', workflowId: holder };
  }
}

/** Of a retrain; a rollback and a recovery show less. */
type Progress = ProgressStatus & Partial<Pick<RetrainStatus, 'version' | 'approval'>>;

function isProgress(status: unknown): status is Progress {
  return typeof status === 'object' && status !== null && 'steps' in status && 'phase' in status;
}

function isWatch(status: unknown): status is WatchStatus {
  return typeof status === 'object' && status !== null && 'looks' in status && 'phase' in status;
}

function isLifecycle(status: unknown): status is LifecycleStatus {
  return typeof status === 'object' && status !== null && 'cases' in status && 'rollout' in status;
}

/**
 * Exit code that a result stands for: 0, or 3 where a rollout did not promote, was taken back, a watched candidate did not
 * pass, or an audit did not find what was served to be consistent.
 */
export function exitCodeOf(result: unknown): 0 | 3 {
  const found = (typeof result === 'object' && result !== null ? result : {}) as Record<string, unknown>;
  // A rollback that was asked for names the version that it left as `from`: it has done what it should.
  const isTakenBack = found['outcome'] === 'rolledBack' && !('from' in found);
  const isNo =
    ['notPromoted', 'refused', 'fenced', 'inconsistent', 'inconclusive'].includes(String(found['outcome'])) ||
    isTakenBack;
  return isNo || found['decision'] === 'fail' || found['decision'] === 'inconclusive' ? 3 : 0;
}
