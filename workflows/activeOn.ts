import { ActivityFailure, ApplicationFailure, patched } from '@temporalio/workflow';
import type { RolloutFence } from '../contracts/rollout.js';
import { recoveries } from './activityProxies.js';
import { describeFailure } from './describe.js';

/**
 * Waits until a rollback serves on every instance. One that does not follow does not hold up the rest: what is deployed
 * stands, and the instance says by itself what it lacks.
 */
export async function activeOn(
  fence: RolloutFence,
  epoch: number,
): Promise<{ readonly active: readonly string[]; readonly behind: string | null }> {
  try {
    return { active: await recoveries().awaitActive(fence, epoch, true), behind: null };
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : undefined;
    const isBehind = cause instanceof ApplicationFailure && cause.type === 'INSTANCES_BEHIND';
    if (!isBehind || !patched('rollbacks-outlast-instances')) throw error;
    const [{ details }] = cause.details as [{ readonly details: { readonly there?: readonly string[] } }];
    return { active: details.there ?? [], behind: describeFailure(error) };
  }
}
