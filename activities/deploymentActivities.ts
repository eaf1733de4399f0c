import { isTidemillError } from '../contracts/errors.js';
import type { RolloutFence, RolloutPlan, RolloutStep } from '../contracts/rollout.js';
import type { Verdict } from '../models/gates/verdict.js';
import type { Fence } from '../stores/registry/registry.js';
import type { ActivityDependencies } from './dependencies.js';
import { ALONE, deploymentChanges } from './deploymentChanges.js';
import { withFailures } from './failures.js';
import { journaled } from './journal.js';
import { registeredBy } from './registeredBy.js';

export interface FollowResult {
  readonly epoch: number;
  readonly instances: readonly string[];
}

/** Steps before the commit point, but for those of a canary, that may change what is deployed. */
const DEPLOYING: ReadonlySet<string> = new Set<RolloutStep>(['readyFeatures', 'shadow', 'prepare']);

/** What serves: every change of the deployment that a rollout makes, and takes back. */
export function createDeploymentActivities(dependencies: ActivityDependencies) {
  const { registry } = dependencies;
  const { change, awaitInstances } = deploymentChanges(dependencies);

  return withFailures({
    /** Has every live instance load the version; users see nothing of it. */
    async prepareVersion(fence: Fence, version: number, allowNoInstances: boolean): Promise<FollowResult> {
      return journaled(dependencies, fence, 'prepare', { version }, async () => {
        const { epoch } = await change(fence, 'prepare', { prepare: version }, `prepare version ${version}`, null);
        return { epoch, instances: await awaitInstances(fence.model, epoch, 'readyEpoch', allowNoInstances) };
      });
    },

    /**
     * The commit point: one transaction moves the alias. Afterwards nothing is undone for one bad instance. Where bake or
     * probation follow, the predecessor goes on scoring beside the new champion.
     */
    async commitVersion(
      fence: Fence,
      version: number,
      verdicts: readonly Verdict[],
      plan: RolloutPlan | null,
    ): Promise<number> {
      return journaled(dependencies, fence, 'commit', { version, plan }, async () => {
        const isWatched =
          plan !== null &&
          plan.predecessor !== null &&
          plan.noEvidence === null &&
          (plan.bakeMs !== null || plan.probation !== null);
        const beside = isWatched ? ({ mode: 'shadow', challenger: plan.predecessor } as const) : {};
        const { epoch } = await change(
          fence,
          'commit',
          { ...ALONE, ...beside, champion: version },
          `promote version ${version}`,
          verdicts,
        );
        return epoch;
      });
    },

    async awaitActive(fence: RolloutFence, epoch: number, allowNoInstances: boolean): Promise<string[]> {
      return awaitInstances(fence.model, epoch, 'activeEpoch', allowNoInstances);
    },

    /** The predecessor need not score any more. */
    async endWatching(fence: Fence, reason: string): Promise<void> {
      const head = await registry.deployment(fence.model);
      if (head === null || head.mode === 'single') return;
      await change(fence, 'endWatching', ALONE, reason, null);
    },

    /**
     * Takes back a promotion that its evidence spoke against: the predecessor serves again, the version is withdrawn. Where
     * there is no predecessor the fallback rules serve. That is done once it is deployed: an instance that does not follow
     * is named in the journal, and says by itself what it lacks.
     */
    async takeBack(fence: Fence, version: number, predecessor: number | null, reason: string): Promise<void> {
      await journaled(dependencies, fence, 'takeBack', { version, predecessor }, async () => {
        const { epoch } = await change(fence, 'takeBack', { ...ALONE, champion: predecessor }, reason, null, version);
        await registry.withdrawVersion(fence.model, version, reason, fence);
        try {
          return { epoch, instances: await awaitInstances(fence.model, epoch, 'activeEpoch', true) };
        } catch (error) {
          if (!isTidemillError(error, 'INSTANCES_BEHIND')) throw error;
          const { there, behind } = error.details;
          return { epoch, instances: there, behind };
        }
      });
    },

    /**
     * Takes back what a rollout did before its commit point: what its journal says that it set out to do, and the versions
     * that carry its token, whether it could write down that they were registered or not.
     *
     * @param of token of the rollout; another one than the fence's where it is recovered.
     */
    async compensateRollout(fence: Fence, reason: string, of = fence.token): Promise<void> {
      const journal = await registry.journal(fence.model, of);
      const hasDeployed = journal.some(({ step }) => DEPLOYING.has(step) || step.startsWith('canary/'));
      const head = await registry.deployment(fence.model);
      if (hasDeployed && head !== null && (head.prepare !== null || head.mode !== 'single'))
        await change(fence, 'abort', ALONE, reason, null);
      const mark = journal.some(({ step }) => step === 'takeBack') ? 'withdrawVersion' : 'rejectVersion';
      for (const version of await registeredBy(registry, fence.model, of))
        await registry[mark](fence.model, version, reason, fence);
    },
  });
}
