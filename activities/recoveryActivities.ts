import { Context } from '@temporalio/activity';
import { checkRollbackInput } from '../contracts/schemas/rollbackInput.js';
import { isTidemillError, messageOf, TidemillError } from '../contracts/errors.js';
import type { PredictionRecord } from '../contracts/records.js';
import type {
  DecidedByVersion,
  OpenedRecovery,
  RecoverInput,
  RollbackInput,
  RolloutFence,
  RolloutPlan,
} from '../contracts/rollout.js';
import { predictionsTopic, streamTopic } from '../contracts/topics.js';
import type { RetrainResult, TriggerKind } from '../contracts/workflows.js';
import type { Fence, ModelVersion, Rollout } from '../stores/registry/registry.js';
import type { ActivityDependencies } from './dependencies.js';
import { ALONE, deploymentChanges } from './deploymentChanges.js';
import { withFailures } from './failures.js';
import { journaled, journalEntry } from './journal.js';

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

export type BegunRollback =
  | {
      readonly outcome: 'rolledBack';
      readonly fence: RolloutFence;
      readonly from: number;
      readonly to: number;
      readonly epoch: number;
    }
  | { readonly outcome: 'alreadyRolledBack'; readonly to: number };

/** Where a rollback goes from and to, and the token of the rollout that was under way. */
interface RollbackIntent {
  readonly from: number;
  readonly to: number;
  readonly under?: number | undefined;
}

/** Going back, and taking over from a rollout whose holder is gone. */
export function createRecoveryActivities(dependencies: ActivityDependencies) {
  const { registry, lifecycle, log, project, modelOf } = dependencies;
  const { change } = deploymentChanges(dependencies);

  /** The next token, or the one that an earlier attempt of this workflow took. */
  const takeToken = async (model: string, workflowId: string, trigger: string, intent: object): Promise<Fence> => {
    const { token } = await registry.openRollout(model, workflowId, trigger);
    const fence = { model, token };
    await journaled(dependencies, fence, 'lease', intent, () => Promise.resolve({ token }));
    return fence;
  };

  /** A rollout that was fenced leaves a version that nobody will promote. */
  const rejectCandidate = async (fence: Fence, of: Rollout | undefined, reason: string): Promise<void> => {
    if (of === undefined) return;
    const journal = await registry.journal(of.model, of.token);
    if (journal.some(({ step }) => step === 'commit')) return;
    const registered = journal.find(({ step }) => step === 'register')?.result as ModelVersion | null | undefined;
    if (registered === undefined || registered === null) return;
    if ((await registry.version(fence.model, registered.version))?.status === 'registered')
      await registry.rejectVersion(fence.model, registered.version, reason, fence);
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

    /** Takes over the rollout of a workflow that ended without letting go; null where it had let go. */
    async openRecovery(input: RecoverInput, workflowId: string): Promise<OpenedRecovery | null> {
      const { model } = input;
      const rollouts = await registry.rollouts(model);
      const [newest] = rollouts;
      const isMine = newest?.holder === workflowId;
      const dead = rollouts.find(({ holder }) => holder === input.workflowId);
      if (dead === undefined || (!isMine && (newest !== dead || dead.closedAt !== null))) return null;
      const fence = await takeToken(model, workflowId, 'recovery', { recovers: dead.token });
      const journal = await registry.journal(model, dead.token);
      const intent = journal.find(({ step }) => step === 'commit')?.intent as
        { readonly version: number; readonly plan: RolloutPlan | null } | undefined;
      const head = await registry.deployment(model);
      // The deployment itself says whether the commit happened: its journal's result may be what the crash took.
      const isCommitted = intent !== undefined && head?.champion === intent.version;
      return {
        fence,
        of: dead.token,
        trigger: dead.trigger as TriggerKind,
        committed: isCommitted ? { version: intent.version, epoch: head.epoch, plan: intent.plan ?? NO_PLAN } : null,
      };
    },

    /** The lifecycle need not wait for this holder any more. */
    async releaseHolder(model: string, workflowId: string): Promise<void> {
      await lifecycle.rolloutClosed(model, { workflowId, outcome: 'released', at: null });
    },

    async validateRollback(input: unknown): Promise<RollbackInput> {
      const checked = checkRollbackInput(input);
      modelOf(checked.model);
      return checked;
    },

    /**
     * 1 the target: named, else the champion where a candidate is on its way, else the newest former champion that may
     * serve; 2 the next token, which fences whoever rolls
     * out; 3 the deployment, in one transaction; 4 the version that is left is withdrawn, a candidate on its way rejected.
     *
     * @throws TidemillError ROLLBACK_IMPOSSIBLE
     */
    async rollBack(input: RollbackInput, workflowId: string): Promise<BegunRollback> {
      const { model, reason } = input;
      const rollouts = await registry.rollouts(model);
      const mine = rollouts.find(({ holder }) => holder === workflowId);
      try {
        if (mine !== undefined && (await intentOf(mine)) !== null)
          return await carryOut({ model, token: mine.token }, reason);
        // 1
        const { isServing, ...target } = await targetOf(input);
        if (isServing) return { outcome: 'alreadyRolledBack', to: target.to };
        // 2
        const intent: RollbackIntent = {
          under: rollouts.find(({ holder }) => holder !== workflowId)?.token,
          ...target,
        };
        return await carryOut(await takeToken(model, workflowId, 'rollback', intent), reason);
      } catch (error) {
        // Another rollback has taken over, and does the same.
        const newest = await registry.newestRollout(model);
        const theirs = isTidemillError(error, 'FENCED') && newest !== null ? await intentOf(newest) : null;
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

  /** What a rollback set out to do; null where the rollout is none, or had not come as far. */
  async function intentOf({ model, token, trigger }: Rollout): Promise<RollbackIntent | null> {
    if (trigger !== 'rollback') return null;
    return ((await journalEntry(registry, { model, token }, 'lease'))?.intent as RollbackIntent | undefined) ?? null;
  }

  async function targetOf({ model, to }: RollbackInput): Promise<RollbackIntent & { readonly isServing: boolean }> {
    const head = await registry.deployment(model);
    const from = head?.champion ?? null;
    const impossible = (why: string): TidemillError =>
      new TidemillError('ROLLBACK_IMPOSSIBLE', `${model} cannot go back: ${why}`, {
        model,
        to: to ?? null,
        champion: from,
      });
    if (head === null || from === null) throw impossible('nothing has been promoted');
    const former = await registry.championHistory(model);
    const last = await registry.newestRollout(model);
    const asked = last === null ? null : await intentOf(last);
    if (asked !== null && (to === undefined || to === asked.to)) {
      // Asked twice. One that ended in its midst is taken up where it is: it may have got no further than its token.
      const isLeft = (await registry.version(model, asked.from))?.status === 'withdrawn';
      return { ...asked, isServing: isLeft && from === asked.to };
    }
    const isUnderWay = last !== null && last.closedAt === null && head.challenger !== null;
    if (isUnderWay && (to === undefined || to === from)) {
      // A candidate on its way is what there is to go back from; the champion stays.
      const journal = await registry.journal(model, last.token);
      if (!journal.some(({ step }) => step === 'commit')) return { from: head.challenger, to: from, isServing: false };
    }
    if (to === from) return { from, to, isServing: true };
    if (to !== undefined) {
      const named = await registry.version(model, to);
      if (named === null) throw impossible(`there is no version ${to}`);
      if (named.status !== 'registered') throw impossible(`version ${to} is ${named.status} (${named.reason ?? ''})`);
      if (!former.some(({ version }) => version === to)) throw impossible(`version ${to} has never been champion`);
      return { from, to, isServing: false };
    }
    // Taken back by its own evidence: that has been carried out, and nothing was promoted since.
    if (last?.outcome?.startsWith('rolled back') === true) return { from, to: from, isServing: true };
    for (const { version } of former) {
      if ((await registry.version(model, version))?.status === 'registered')
        return { from, to: version, isServing: false };
    }
    throw impossible('no former champion may serve any more');
  }

  async function carryOut(fence: Fence, reason: string): Promise<BegunRollback> {
    const lease = await journalEntry(registry, fence, 'lease');
    const { from, to, under } = lease?.intent as RollbackIntent;
    // 3
    const { epoch } = await journaled(dependencies, fence, 'rollback', { from, to }, async () => {
      return { epoch: (await change(fence, 'rollback', { ...ALONE, champion: to }, reason, null, from)).epoch };
    });
    // 4
    await registry.withdrawVersion(fence.model, from, reason, fence);
    const fenced = (await registry.rollouts(fence.model)).find(({ token }) => token === under);
    await rejectCandidate(fence, fenced, `fenced by a rollback: ${reason}`);
    const at = await registry.watermark(streamTopic(project, modelOf(fence.model).request.name));
    if (fenced !== undefined)
      await lifecycle.rolloutClosed(fence.model, { workflowId: fenced.holder, outcome: 'fenced', at });
    return { outcome: 'rolledBack', fence, from, to, epoch };
  }
}
