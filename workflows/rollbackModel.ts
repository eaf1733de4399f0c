import { CancellationScope, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { RollbackInput, RollbackResult } from '../contracts/rollout.js';
import { compensations, recoveries, validation } from './activityProxies.js';

/**
 * Goes back to a former champion at once. It takes the next token, so that a rollout under way is fenced and undone; the
 * version that is left is withdrawn. A repeat answers `alreadyRolledBack`.
 */
export async function rollbackModel(input: RollbackInput): Promise<RollbackResult> {
  const { workflowId } = workflowInfo();
  const checked = await validation().validateRollback(input);
  return CancellationScope.nonCancellable(async (): Promise<RollbackResult> => {
    const begun = await recoveries().rollBack(checked, workflowId);
    if (begun.outcome === 'alreadyRolledBack') return begun;
    const { fence, from, to, epoch } = begun;
    setCurrentDetails(`**${input.model}**: back to version ${to} (epoch ${epoch}); waiting for the instances`);
    const active = await recoveries().awaitActive(fence, epoch, true);
    setCurrentDetails(
      `**${input.model}**: version ${to} serves on ${active.length} instances; counting what was decided`,
    );
    const decided = await recoveries().decidedBy(fence, from);
    await compensations().closeRollout(fence, workflowId, `rolled back to version ${to}`);
    setCurrentDetails(
      `**${input.model}**: back to version ${to}; version ${from} is withdrawn, it had decided ${decided.requests} requests`,
    );
    return { outcome: 'rolledBack', from, to, epoch, token: fence.token, instances: active.length, decided };
  });
}
