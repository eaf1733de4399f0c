import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { RecoverInput, RecoverResult, Settled } from '../contracts/rollout.js';
import { activeOn } from './activeOn.js';
import { compensations, recoveries } from './activityProxies.js';
import { describeFailure } from './describe.js';
import { plainFailure } from './plainFailure.js';
import { settlePromotion } from './settlePromotion.js';
import { showProgress } from './showProgress.js';

/**
 * Finishes a rollout whose holder ended without letting go: terminated, timed out, failed. It takes the next token, so
 * that whatever is left of the old one is fenced. Before the commit point everything is undone from the journal; after
 * it the promotion is carried to its end. A rollback is finished wherever it had ended.
 */
export async function recoverRollout(input: RecoverInput): Promise<RecoverResult> {
  const { workflowId } = workflowInfo();
  const given = input as Partial<RecoverInput> | null | undefined;
  if (typeof given?.model !== 'string' || typeof given.workflowId !== 'string') {
    throw plainFailure('INPUT_INVALID', 'recoverRollout: {model, workflowId} of the rollout that ended are needed');
  }
  const shown = showProgress(input.model);
  const opened = await recoveries().openRecovery(input, workflowId);
  if (opened === null) {
    await compensations().releaseHolder(input.model, workflowId);
    shown.enter('done');
    return { outcome: 'nothingToDo' };
  }
  const { fence, of, committed, rollback } = opened;
  shown.done('lease', `token ${fence.token}, in the place of rollout ${of}`);
  if (rollback !== undefined) {
    return CancellationScope.nonCancellable(async (): Promise<RecoverResult> => {
      const { from, to } = rollback;
      shown.enter('rollback');
      const begun = await recoveries().finishRollback(fence, rollback);
      shown.done('rollback', `from version ${from}, which is withdrawn, to version ${to}`);
      shown.enter('active');
      const { active, behind } =
        begun.outcome === 'rolledBack' ? await activeOn(fence, begun.epoch) : { active: [], behind: null };
      shown.done('active', behind ?? `version ${to} serves on ${active.length} instances`);
      await compensations().closeRollout(fence, workflowId, `rolled back to version ${to}`);
      shown.enter('done');
      return { outcome: 'rolledBack', token: fence.token, from, to };
    });
  }
  if (committed === null) {
    const reason = `${input.workflowId} ended without letting go`;
    shown.enter('compensating');
    await CancellationScope.nonCancellable(async () => {
      await compensations().compensateRollout(fence, reason, of);
      await compensations().closeRollout(fence, workflowId, 'compensated');
    });
    shown.done('compensate', reason);
    shown.enter('done');
    return { outcome: 'compensated', token: fence.token, reason };
  }
  const { version, epoch, plan } = committed;
  let settled: Settled;
  try {
    shown.enter('commit');
    const active = await recoveries().awaitActive(fence, epoch, true);
    shown.done('commit', `epoch ${epoch}, active on ${active.length} instances`);
    settled = await settlePromotion(fence, version, plan, shown);
  } catch (error) {
    settled = { outcome: 'promoted', probation: 'inconclusive', reason: describeFailure(error) };
  }
  await CancellationScope.nonCancellable(async () => {
    if (settled.probation === 'inconclusive') await compensations().endWatching(fence, settled.reason);
    const isBack = settled.outcome === 'rolledBack';
    await compensations().closeRollout(fence, workflowId, isBack ? `rolled back: ${settled.reason}` : 'promoted');
  });
  shown.enter('done');
  return { outcome: 'completed', token: fence.token, version, settled };
}
