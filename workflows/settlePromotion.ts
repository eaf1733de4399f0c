import { CancellationScope, ChildWorkflowFailure, isCancellation, patched, workflowInfo } from '@temporalio/workflow';
import type { RolloutFence, RolloutPlan, RolloutStep, Settled, WatchResult } from '../contracts/rollout.js';
import { compensations, rollouts } from './activityProxies.js';
import { describeFailure } from './describe.js';
import { executeWatch } from './executeWatch.js';
import { probation } from './probation.js';
import { describeVerdicts, watchCandidate } from './watchCandidate.js';

/** What the caller shows of it. */
export interface SettleProgress {
  enter(step: RolloutStep): void;
  done(step: RolloutStep, result: string): void;
}

/**
 * After the commit point: bake, then probation. Whatever fails by its evidence is taken back; whatever cannot be decided
 * leaves the promotion as it is, and says so.
 *
 * @throws CancelledFailure while it watches; the promotion then stands, unconfirmed.
 */
export async function settlePromotion(
  fence: RolloutFence,
  version: number,
  plan: RolloutPlan,
  progress: SettleProgress,
): Promise<Settled> {
  const skipped = plan.noEvidence ?? (plan.predecessor === null ? 'there is no predecessor' : null);

  if (plan.bakeMs === null || skipped !== null) {
    await rollouts().skipStep(fence, 'bake', skipped ?? 'the model declares none');
    progress.done('bake', `skipped: ${skipped ?? 'the model declares none'}`);
  } else {
    progress.enter('bake');
    const watch = {
      step: 'bake',
      kind: 'bake',
      version,
      reference: plan.predecessor,
      share: 0,
      wanted: null,
      atMostMs: plan.bakeMs,
    } as const;
    const baked = await watchCandidate(fence, watch, () => undefined);
    progress.done('bake', `${baked.decision} on ${baked.seen} requests (${describeVerdicts(baked.verdicts)})`);
    if (baked.decision === 'fail') return takeBack(fence, version, plan, `bake: ${baked.reason}`, progress);
  }

  if (plan.probation === null || skipped !== null) {
    await rollouts().skipStep(fence, 'probation', skipped ?? 'the model declares none');
    progress.done('probation', `skipped: ${skipped ?? 'the model declares none'}`);
    await compensations().endWatching(fence, 'probation is skipped');
    return { outcome: 'promoted', probation: 'skipped', reason: skipped ?? 'the model declares none' };
  }
  progress.enter('probation');
  const found = await probationResult(fence, version, plan);
  progress.done('probation', `${found.decision} on ${found.seen} positives (${describeVerdicts(found.verdicts)})`);
  if (found.decision === 'fail') return takeBack(fence, version, plan, `probation: ${found.reason}`, progress);
  await compensations().endWatching(fence, `probation: ${found.decision}`);
  const confirmed = found.decision === 'pass' ? 'confirmed' : 'inconclusive';
  return { outcome: 'promoted', probation: confirmed, reason: found.reason };
}

/** A child that was terminated or could not go on decides nothing. */
async function probationResult(fence: RolloutFence, version: number, plan: RolloutPlan): Promise<WatchResult> {
  try {
    return await executeWatch(probation, `${workflowInfo().workflowId}/probation`, { fence, version, plan });
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ChildWorkflowFailure)) throw error;
    return { decision: 'inconclusive', seen: 0, verdicts: [], reason: describeFailure(error) };
  }
}

/** The predecessor serves again, and the version is withdrawn. */
export async function takeBack(
  fence: RolloutFence,
  version: number,
  plan: RolloutPlan,
  reason: string,
  progress: SettleProgress,
): Promise<Settled> {
  progress.enter('commit');
  const takingBack = (): Promise<void> => compensations().takeBack(fence, version, plan.predecessor, reason);
  // What its evidence speaks against is taken back, whoever wants to be next.
  if (patched('taken-back-wholly')) await CancellationScope.nonCancellable(takingBack);
  else await takingBack();
  return { outcome: 'rolledBack', probation: 'failed', reason };
}
