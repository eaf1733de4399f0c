import { Context } from '@temporalio/activity';
import { streamTopic } from '../contracts/topics.js';
import { formatDuration } from '../contracts/duration.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';

const LOOK_MS = 1_000;

/** What a model's definition says about drift, against stream time: the watermark of its request stream. */
export function createPolicyActivities({ registry, modelOf, project }: ActivityDependencies) {
  const streamTime = async (model: string): Promise<number | null> =>
    registry.watermark(streamTopic(project, modelOf(model).request.name));
  return withFailures({
    async driftPolicy(model: string): Promise<{ freshPositives: number; againAfterMs: number }> {
      const { drift } = modelOf(model);
      return { freshPositives: drift.freshPositives, againAfterMs: drift.quietMs };
    },

    /** Why no rollout may start by itself now; null where one may. */
    async automaticRolloutRefused(
      model: string,
      history: { readonly decidedAt: number | null; readonly automaticAt: readonly number[] },
    ): Promise<string | null> {
      const { quietMs, budget } = modelOf(model).drift;
      const now = await streamTime(model);
      if (now === null) return null;
      if (history.decidedAt !== null && now < history.decidedAt + quietMs) {
        return `quiet for ${formatDuration(quietMs)} after the last decision`;
      }
      const recent = history.automaticAt.filter((at) => at > now - budget.perMs).length;
      return recent < budget.count
        ? null
        : `the budget of ${budget.count} per ${formatDuration(budget.perMs)} is used up`;
    },

    /** Returns when stream time has gone on by so much. */
    async awaitStreamTime(model: string, byMs: number): Promise<void> {
      const start = await streamTime(model);
      const context = Context.current();
      for (;;) {
        const now = await streamTime(model);
        if (now !== null && now >= (start ?? now) + byMs) return;
        context.heartbeat({ now });
        await context.sleep(LOOK_MS);
      }
    },
  });
}
