import { CancellationScope, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { RecoverInput, RecoverResult, RolloutStep, Settled } from '../contracts/rollout.js';
import { compensations, recoveries } from './activityProxies.js';
import { describeFailure, describeSteps } from './describe.js';
import { settlePromotion } from './settlePromotion.js';

/**
 * Finishes a rollout whose holder ended without letting go: terminated, timed out, failed. It takes the next token, so
 * that whatever is left of the old one is fenced. Before the commit point everything is undone from the journal; after
 * it the promotion is carried to its end.
 */
export async function recoverRollout(input: RecoverInput): Promise<RecoverResult> {
  const { workflowId } = workflowInfo();
  const opened = await recoveries().openRecovery(input, workflowId);
  if (opened === null) {
    await compensations().releaseHolder(input.model, workflowId);
    return { outcome: 'nothingToDo' };
  }
  const { fence, of, committed } = opened;
  const steps: { step: RolloutStep; result: string }[] = [];
  const show = (phase: string): void =>
    setCurrentDetails(describeSteps(`${input.model} (recovery of rollout ${of})`, phase, steps));
  if (committed === null) {
    const reason = `${input.workflowId} ended without letting go`;
    show('compensating');
    await CancellationScope.nonCancellable(async () => {
      await compensations().compensateRollout(fence, reason, of);
      await compensations().closeRollout(fence, workflowId, 'compensated');
    });
    show('done');
    return { outcome: 'compensated', token: fence.token, reason };
  }
  const { version, epoch, plan } = committed;
  let settled: Settled;
  try {
    show('commit');
    const active = await recoveries().awaitActive(fence, epoch, true);
    steps.push({ step: 'commit', result: `epoch ${epoch}, active on ${active.length} instances` });
    settled = await settlePromotion(fence, version, plan, {
      enter: show,
      done: (step, result) => {
        steps.push({ step, result });
        show(step);
      },
    });
  } catch (error) {
    settled = { outcome: 'promoted', probation: 'inconclusive', reason: describeFailure(error) };
  }
  await CancellationScope.nonCancellable(async () => {
    if (settled.probation === 'inconclusive') await compensations().endWatching(fence, settled.reason);
    const isBack = settled.outcome === 'rolledBack';
    await compensations().closeRollout(fence, workflowId, isBack ? `rolled back: ${settled.reason}` : 'promoted');
  });
  show('done');
  return { outcome: 'completed', token: fence.token, version, settled };
}
