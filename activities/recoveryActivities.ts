import { Context } from '@temporalio/activity';
import { checkRollbackInput } from '../contracts/schemas/rollbackInput.js';
import { isTidemillError, messageOf } from '../contracts/errors.js';
import type { PredictionRecord } from '../contracts/records.js';
import type {
  DecidedByVersion,
  OpenedRecovery,
  RecoverInput,
  RollbackInput,
  RollbackIntent,
  RolloutPlan,
} from '../contracts/rollout.js';
import { predictionsTopic } from '../contracts/topics.js';
import type { RetrainResult } from '../contracts/workflows.js';
import type { Fence } from '../stores/registry/registry.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { journaled } from './journal.js';
import { rollbackIntentOf, rollbackSteps, rolloutOrigin, type BegunRollback } from './rollbackSteps.js';

const LOOK_MS = 500;
/** A rollout that journaled none asked for nothing after its commit. */
const NO_PLAN: RolloutPlan = {
  predecessor: null,
  noEvidence: null,
  shadow: null,
  canary: null,
  approval: 'automatic',
  bakeMs: null,
  probation: null,
};

/** Going back, and taking over from a rollout whose holder is gone. */
export function createRecoveryActivities(dependencies: ActivityDependencies) {
  const { registry, lifecycle, log, project, modelOf } = dependencies;
  const { targetOf, carryOut } = rollbackSteps(dependencies);

  /** The next token, or the one that an earlier attempt of this workflow took. */
  const takeToken = async (model: string, workflowId: string, trigger: string, intent: object): Promise<Fence> => {
    const { token } = await registry.openRollout(model, workflowId, trigger);
    const fence = { model, token };
    await journaled(dependencies, fence, 'lease', intent, () => Promise.resolve({ token }));
    return fence;
  };

  return withFailures({
    /** Returns once no run of the workflow runs any more. */
    async awaitClosed(workflowId: string): Promise<void> {
      const context = Context.current();
      while (await lifecycle.isRunning(workflowId)) {
        context.heartbeat();
        await context.sleep(LOOK_MS);
      }
    },

    /** Waits for the end of a retrain, and tells what came of it. */
    async awaitRetrain(workflowId: string): Promise<{ result: RetrainResult } | { failed: string }> {
      const context = Context.current();
      while (await lifecycle.isRunning(workflowId)) {
        context.heartbeat();
        await context.sleep(LOOK_MS);
      }
      try {
        return { result: await lifecycle.retrainResult(workflowId) };
      } catch (error) {
        if (isTidemillError(error, 'TEMPORAL_UNAVAILABLE')) throw error;
        const { cause } = error as { cause?: unknown };
        return { failed: messageOf(cause ?? error) };
      }
    },

    /** Takes over the rollout, or the rollback, of a workflow that ended without letting go; null where it had let go. */
    async openRecovery(input: RecoverInput, workflowId: string): Promise<OpenedRecovery | null> {
      const { model } = input;
      const rollouts = await registry.rollouts(model);
      const [newest] = rollouts;
      const isMine = newest?.holder === workflowId;
      const dead = rollouts.find(({ holder }) => holder === input.workflowId);
      if (dead === undefined || (!isMine && (newest !== dead || dead.closedAt !== null))) return null;
      const isRollback = dead.trigger === 'rollback';
      const rollback = isRollback ? (input.rollback ?? (await rollbackIntentOf(registry, dead))) : null;
      if (rollback !== null) {
        // A rollback like any other: who asks for the same is answered as if the first one went on.
        const fence = await takeToken(model, workflowId, 'rollback', { ...rollback, recovers: dead.token });
        return { fence, of: dead.token, trigger: 'rollback', committed: null, rollback };
      }
      const fence = await takeToken(model, workflowId, 'recovery', { recovers: dead.token });
      const origin = await rolloutOrigin(registry, dead);
      const journal = await registry.journal(model, origin.token);
      const intent = journal.find(({ step }) => step === 'commit')?.intent as
        { readonly version: number; readonly plan: RolloutPlan | null } | undefined;
      const head = await registry.deployment(model);
      // The deployment itself says whether the commit happened: its journal's result may be what the crash took.
      const isCommitted = intent !== undefined && head?.champion === intent.version;
      return {
        fence,
        of: origin.token,
        trigger: origin.trigger as OpenedRecovery['trigger'],
        committed: isCommitted ? { version: intent.version, epoch: head.epoch, plan: intent.plan ?? NO_PLAN } : null,
      };
    },

    /** The lifecycle need not wait for this holder any more. */
    async releaseHolder(model: string, workflowId: string): Promise<void> {
      await lifecycle.rolloutClosed(model, { workflowId, outcome: 'released', at: null });
    },

    /** Carries a rollback to its end that was begun by a workflow that is gone. */
    async finishRollback(fence: Fence, intent: RollbackIntent): Promise<BegunRollback> {
      return carryOut(fence, intent);
    },

    async validateRollback(input: unknown): Promise<RollbackInput> {
      const checked = checkRollbackInput(input);
      modelOf(checked.model);
      return checked;
    },

    /**
     * 1 the target: named, else the champion where a candidate is on its way, else the newest former champion that may
     * serve; 2 the lifecycle hears of it: what is begun from here on is finished, whatever becomes of this workflow; 3 the
     * next token, which fences whoever rolls out; 4 the deployment, in one transaction; 5 the version that is left is
     * withdrawn, a candidate on its way rejected.
     *
     * @throws TidemillError ROLLBACK_IMPOSSIBLE
     */
    async rollBack(input: RollbackInput, workflowId: string): Promise<BegunRollback> {
      const { model, reason } = input;
      const rollouts = await registry.rollouts(model);
      const mine = rollouts.find(({ holder }) => holder === workflowId);
      try {
        const begun = mine === undefined ? null : await rollbackIntentOf(registry, mine);
        if (mine !== undefined && begun !== null)
          return await carryOut({ model, token: mine.token }, { ...begun, reason });
        // 1
        const { isServing, ...target } = await targetOf(input);
        if (isServing) return { outcome: 'alreadyRolledBack', to: target.to };
        const under = target.under ?? rollouts.find(({ holder }) => holder !== workflowId)?.token;
        const intent: RollbackIntent = { ...target, under, reason };
        // 2
        await lifecycle.rollbackBegun(model, { workflowId, intent });
        // 3
        return await carryOut(await takeToken(model, workflowId, 'rollback', intent), intent);
      } catch (error) {
        // Another rollback has taken over, and does the same.
        const newest = await registry.newestRollout(model);
        const theirs =
          isTidemillError(error, 'FENCED') && newest !== null ? await rollbackIntentOf(registry, newest) : null;
        if (theirs === null || (input.to !== undefined && input.to !== theirs.to)) throw error;
        return { outcome: 'alreadyRolledBack', to: theirs.to };
      }
    },

    /** What a version decided while it served, read from the topic of predictions. */
    async decidedBy(fence: Fence, version: number): Promise<DecidedByVersion> {
      const topic = predictionsTopic(project, fence.model);
      const offsets: Record<string, { first: number; last: number }> = {};
      const decisions: Record<string, number> = {};
      let requests = 0;
      if ((await log.partitionCount(topic)) === null) return { requests, decisions, offsets };
      for (const { partition, low, high } of await log.offsets(topic)) {
        for await (const batch of log.read({ topic, partition, from: low, to: high })) {
          for (const { value, offset } of batch) {
            const prediction = JSON.parse(value?.toString('utf8') ?? 'null') as PredictionRecord;
            if (prediction.version !== version) continue;
            requests++;
            decisions[prediction.decision] = (decisions[prediction.decision] ?? 0) + 1;
            offsets[partition] = { first: offsets[partition]?.first ?? offset, last: offset };
          }
          Context.current().heartbeat({ requests });
        }
      }
      return { requests, decisions, offsets };
    },
  });
}
