import { ActivityFailure, ApplicationFailure, patched } from '@temporalio/workflow';
import type { RolloutFence } from '../contracts/rollout.js';
import { recoveries, rollouts } from './activityProxies.js';
import { describeFailure } from './describe.js';

/** Who serves an epoch. */
export interface ActiveOn {
  readonly active: readonly string[];
  /** Who does not, and why; null where everybody does. */
  readonly behind: string | null;
}

/**
 * Waits until a rollback serves on every instance. One that does not follow does not hold up the rest: what is deployed
 * stands, and the instance says by itself what it lacks.
 */
export async function activeOn(fence: RolloutFence, epoch: number): Promise<ActiveOn> {
  try {
    return { active: await recoveries().awaitActive(fence, epoch, true), behind: null };
  } catch (error) {
    const partly = partlyFollowed(error);
    if (partly === null || !patched('rollbacks-outlast-instances')) throw error;
    return { active: partly.there, behind: describeFailure(error) };
  }
}

/**
 * Waits until a promotion serves on every instance. After the commit point nothing is undone for one bad instance, but where
 * fewer than `minReady` follow it is not `isEnough`.
 */
export async function promotedOn(
  fence: RolloutFence,
  epoch: number,
  allowNoInstances: boolean,
): Promise<ActiveOn & { readonly isEnough: boolean }> {
  try {
    return { active: await rollouts().awaitActive(fence, epoch, allowNoInstances), behind: null, isEnough: true };
  } catch (error) {
    const partly = partlyFollowed(error);
    if (partly === null || !patched('promotions-outlast-instances')) throw error;
    const { there, minReady } = partly;
    return { active: there, behind: describeFailure(error), isEnough: there.length >= minReady };
  }
}

/** Who follows, where not all do; null for any other failure. */
function partlyFollowed(error: unknown): { readonly there: readonly string[]; readonly minReady: number } | null {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  if (!(cause instanceof ApplicationFailure) || cause.type !== 'INSTANCES_BEHIND') return null;
  const [{ details }] = cause.details as [
    { readonly details: { readonly there?: readonly string[]; readonly minReady?: number } },
  ];
  return { there: details.there ?? [], minReady: details.minReady ?? 1 };
}
