import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { RollbackInput, RollbackResult } from '../contracts/rollout.js';
import { compensations, recoveries, validation } from './activityProxies.js';
import { activeOn } from './activeOn.js';
import { plainly } from './plainFailure.js';
import { showProgress } from './showProgress.js';

/**
 * Goes back to a former champion at once. It takes the next token, so that a rollout under way is fenced and undone; the
 * version that is left is withdrawn. A repeat answers `alreadyRolledBack`.
 */
export async function rollbackModel(input: RollbackInput): Promise<RollbackResult> {
  const { workflowId } = workflowInfo();
  // Started by hand it may have no input at all: the check says so.
  const shown = showProgress((input as Partial<RollbackInput> | null | undefined)?.model ?? '');
  const checked = await validation().validateRollback(input);
  return CancellationScope.nonCancellable(async (): Promise<RollbackResult> => {
    shown.enter('rollback');
    const begun = await plainly(() => recoveries().rollBack(checked, workflowId));
    if (begun.outcome === 'alreadyRolledBack') {
      shown.enter('done');
      return begun;
    }
    const { fence, from, to, epoch } = begun;
    shown.done('rollback', `from version ${from}, which is withdrawn, to version ${to} in epoch ${epoch}`);
    shown.enter('active');
    const { active, behind } = await activeOn(fence, epoch);
    shown.done('active', `version ${to} serves on ${active.length} instances${behind === null ? '' : `; ${behind}`}`);
    shown.enter('decided');
    const decided = await recoveries().decidedBy(fence, from);
    shown.done('decided', `version ${from} had decided ${decided.requests} requests`);
    await compensations().closeRollout(fence, workflowId, `rolled back to version ${to}`);
    shown.enter('done');
    const served = { instances: active.length, ...(behind === null ? {} : { behind }) };
    return { outcome: 'rolledBack', from, to, epoch, token: fence.token, ...served, decided };
  });
}
