import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  executeChild,
  ParentClosePolicy,
  patched,
  startChild,
} from '@temporalio/workflow';
import { retrainId, type DriftCase, type RetrainInput, type RetrainResult } from '../contracts/workflows.js';
import { policies, waiting } from './activityProxies.js';
import { describeFailure, describeResult } from './describe.js';
import { retrainModel } from './retrainModel.js';
import type { RolloutLease } from './rolloutLease.js';

/** Automatic rollouts that are remembered for the budget. */
const MAX_AUTOMATIC = 50;

/** The cases of a model, as its lifecycle keeps them. */
export interface CaseDesk {
  readonly model: string;
  readonly project: string;
  readonly lease: RolloutLease;
  readonly cases: () => readonly DriftCase[];
  readonly change: (id: string, changed: Partial<DriftCase>) => void;
  /** Stream times of the last decision and of the automatic rollouts. */
  readonly history: { decidedAt: number | null; automaticAt: readonly number[] };
}

/**
 * Takes the cases one by one. Each state says by itself how it goes on, so that it may be cancelled anywhere and begun
 * anew in the next run:
 *
 *   open -> (quiet time, budget) -> waiting-for-labels -> training -> decided, or open again where the rollout was refused
 *                                   waiting-for-labels <-> stalled, while neither stream time nor labels go on
 */
export async function judgeCases(desk: CaseDesk): Promise<never> {
  const { lease, change } = desk;
  const find = (wanted: DriftCase['state']): DriftCase | undefined =>
    desk.cases().find(({ state }) => state === wanted);
  const isFree = (): boolean => lease.paused === null;
  for (;;) {
    await condition(
      () =>
        find('training') !== undefined ||
        find('waiting-for-labels') !== undefined ||
        find('stalled') !== undefined ||
        (isFree() && find('open') !== undefined),
    );
    const training = find('training');
    if (training !== undefined) {
      const ended = await waiting().awaitRetrain(retrainOf(desk, training));
      if ('failed' in ended) change(training.id, { state: 'decided', note: `failed: ${ended.failed}` });
      else if (ended.result.outcome === 'refused') await reopen(desk, training, ended.result.reason);
      else change(training.id, { state: 'decided', note: describeResult(ended.result) });
      continue;
    }
    const labelling = find('waiting-for-labels');
    if (labelling !== undefined) {
      const positives = await awaitLabels(desk, labelling);
      if (positives === null) continue;
      await startRetrain(desk, labelling);
      remember(desk, labelling);
      change(labelling.id, { state: 'training', note: `${positives} positives after the onset` });
      continue;
    }
    const stalled = find('stalled');
    if (stalled !== undefined) {
      if (stalled.stalledAt !== undefined) await waiting().awaitProgress(desk.model, stalled.stalledAt);
      const { freshPositives } = await policies().driftPolicy(desk.model);
      change(stalled.id, waitingFor(freshPositives));
      continue;
    }
    const open = find('open');
    if (open !== undefined) await consider(desk, open);
  }
}

/** The positives that a case waited for; null where it is stalled, which the case then shows. */
async function awaitLabels({ model, change }: CaseDesk, { id, onset }: DriftCase): Promise<number | null> {
  const { freshPositives } = await policies().driftPolicy(model);
  if (!patched('waiting-cases-stall')) return waiting().awaitFreshPositives(model, onset, freshPositives);
  const labels = await waiting().awaitLabels(model, onset, freshPositives);
  if (labels.kind === 'there') return labels.positives;
  const { reason, positives, at } = labels;
  const note = `${reason}; ${positives} of ${freshPositives} positives are labelled`;
  change(id, { state: 'stalled', note, stalledAt: at });
  return null;
}

function waitingFor(freshPositives: number): Pick<DriftCase, 'state' | 'note'> {
  return { state: 'waiting-for-labels', note: `until ${freshPositives} positives after the onset are labelled` };
}

/** May a rollout start by itself now? A case that has to wait stays open and is judged again as stream time goes on. */
async function consider(
  { model, change, history }: CaseDesk,
  open: DriftCase,
): Promise<{ readonly freshPositives: number } | null> {
  const policy = await policies().driftPolicy(model);
  const refusal = await policies().automaticRolloutRefused(model, history);
  if (refusal !== null) {
    change(open.id, { note: refusal });
    await policies().awaitStreamTime(model, policy.againAfterMs);
    return null;
  }
  change(open.id, waitingFor(policy.freshPositives));
  return policy;
}

async function startRetrain(desk: CaseDesk, { id, source, onset }: DriftCase): Promise<void> {
  const start = (): Promise<unknown> =>
    startChild(retrainModel, {
      workflowId: retrainOf(desk, { id }),
      args: [inputOf(desk, { id, source, onset })],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    });
  try {
    // A child is cancelled with the scope that started it, however long ago; it is to outlive this run.
    if (patched('retrains-outlive-runs')) await CancellationScope.nonCancellable(start);
    else await start();
  } catch (error) {
    // The run before started it, and had no time to write that down.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** Nothing was spent; it is judged again once nobody stands in its way. */
async function reopen(desk: CaseDesk, { id }: DriftCase, reason: string): Promise<void> {
  const { history, lease } = desk;
  history.automaticAt = history.automaticAt.slice(0, -1);
  desk.change(id, { state: 'open', note: `refused: ${reason}` });
  await condition(() => lease.paused === null && lease.queued === null);
}

/** The loop as it was first released: histories from before replay by it. */
export async function judgeCasesAsFirstReleased(desk: CaseDesk, isEnough: () => boolean): Promise<void> {
  const { model, lease, change, history } = desk;
  const findOpen = (): DriftCase | undefined => desk.cases().find(({ state }) => state === 'open');
  while (!isEnough()) {
    await condition(() => (lease.paused === null && findOpen() !== undefined) || isEnough());
    const open = findOpen();
    const policy = open === undefined ? null : await consider(desk, open);
    if (open === undefined || policy === null) continue;
    const positives = await waiting().awaitFreshPositives(model, open.onset, policy.freshPositives);
    change(open.id, { state: 'training', note: `${positives} positives after the onset` });
    remember(desk, open);
    try {
      const result: RetrainResult = await executeChild(retrainModel, {
        workflowId: retrainOf(desk, open),
        args: [inputOf(desk, open)],
        parentClosePolicy: ParentClosePolicy.ABANDON,
      });
      if (result.outcome === 'refused' && patched('refused-cases-stay-open')) {
        history.automaticAt = history.automaticAt.slice(0, -1);
        change(open.id, { state: 'open', note: `refused: ${result.reason}` });
        await condition(() => lease.paused === null && lease.queued === null);
        continue;
      }
      change(open.id, { state: 'decided', note: describeResult(result) });
    } catch (error) {
      change(open.id, { state: 'decided', note: `failed: ${describeFailure(error)}` });
    }
  }
}

function remember({ history }: CaseDesk, { detectedAt }: DriftCase): void {
  history.automaticAt = [...history.automaticAt, detectedAt].slice(-MAX_AUTOMATIC);
}

function retrainOf({ project, model }: CaseDesk, { id }: Pick<DriftCase, 'id'>): string {
  return retrainId(project, model, `drift-${id}`);
}

function inputOf({ model }: CaseDesk, { id, source, onset }: Pick<DriftCase, 'id' | 'source' | 'onset'>): RetrainInput {
  return { model, trigger: { kind: 'drift', reason: source, onset: new Date(onset).toISOString(), case: id } };
}
