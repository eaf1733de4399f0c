import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { TidemillError } from '../contracts/errors.js';
import type { DeploymentRecord } from '../contracts/records.js';
import type { Fence, InstanceLease } from '../stores/registry/registry.js';
import type { ActivityDependencies } from './dependencies.js';

/** How long instances may take to load a version, and to switch. */
export const FOLLOW_TIMEOUT_MS = 120_000;

/** A deployment of nothing but a champion. */
export const ALONE = { mode: 'single', challenger: null, share: 0, salt: '', prepare: null } as const;

export interface DeploymentChanges {
  /**
   * Changes the head deployment in one transaction; `step` makes a repeat harmless.
   *
   * @param leaves a version that the change takes out of service for good: it does not stand in for another, either.
   */
  readonly change: (
    fence: Fence,
    step: string,
    next: Partial<Omit<DeploymentRecord, 'model' | 'epoch' | 'standIn'>>,
    reason: string,
    evidence: unknown,
    leaves?: number,
  ) => Promise<DeploymentRecord>;
  /**
   * Waits until every live instance is there; the live set is read anew each time.
   *
   * @throws TidemillError INSTANCES_BEHIND, as soon as all have answered where one of them has said that it never will be.
   */
  readonly awaitInstances: (
    model: string,
    epoch: number,
    reached: 'readyEpoch' | 'activeEpoch',
    allowNone: boolean,
  ) => Promise<string[]>;
}

/** How activities change what is deployed, and hear that it is followed. */
export function deploymentChanges(dependencies: Pick<ActivityDependencies, 'registry' | 'modelOf'>): DeploymentChanges {
  const { registry } = dependencies;
  const awaitInstances: DeploymentChanges['awaitInstances'] = async (model, epoch, reached, allowNone) => {
    const { minReady } = dependencies.modelOf(model);
    const hasRefused = ({ refusedEpoch = 0, ...instance }: InstanceLease): boolean =>
      refusedEpoch === epoch && instance[reached] < epoch;
    for (let waited = 0; waited < FOLLOW_TIMEOUT_MS; waited += 200) {
      const live = await registry.liveInstances(model);
      const there = live.filter((instance) => instance[reached] >= epoch);
      const refusing = live.filter(hasRefused);
      // All have answered, and who has refused will not change its mind.
      if (refusing.length > 0 && there.length + refusing.length === live.length) break;
      if (there.length === live.length && (there.length >= minReady || (allowNone && live.length === 0))) {
        return there.map(({ instance }) => instance);
      }
      Context.current().heartbeat({ live: live.length, there: there.length });
      await sleep(200, undefined, { signal: Context.current().cancellationSignal });
    }
    const live = await registry.liveInstances(model);
    const behind = live
      .filter((instance) => instance[reached] < epoch)
      .map(({ instance, problem }) => `${instance}${problem === null ? '' : ` (${problem})`}`);
    const there = live.filter((instance) => instance[reached] >= epoch).map(({ instance }) => instance);
    throw new TidemillError(
      'INSTANCES_BEHIND',
      live.length === 0
        ? `${model}: nobody is live`
        : `${model}: epoch ${epoch} is not followed by ${behind.join(', ')}`,
      { model, epoch, live: live.length, minReady, behind, there },
    );
  };

  /** The newest champion before `champion` that may still serve. */
  const standInFor = async (
    model: string,
    champion: number | null,
    head: DeploymentRecord | null,
    leaves: number | undefined,
  ): Promise<number | null> => {
    const former = [head?.champion ?? null, ...(await registry.championHistory(model)).map(({ version }) => version)];
    for (const version of former) {
      if (version === null || version === champion || version === leaves) continue;
      if ((await registry.version(model, version))?.status === 'registered') return version;
    }
    return null;
  };

  const change: DeploymentChanges['change'] = async (fence, step, next, reason, evidence, leaves) => {
    const head = await registry.deployment(fence.model);
    const base = head ?? { ...ALONE, champion: null };
    const { mode, champion, challenger, share, salt, prepare } = { ...base, ...next };
    const standIn = await standInFor(fence.model, champion, head, leaves);
    return registry.changeDeployment({
      fence,
      step,
      expectEpoch: head?.epoch ?? 0,
      next: { mode, champion, challenger, share, salt, prepare, standIn },
      actor: `rollout ${fence.token}`,
      reason,
      evidence,
    });
  };

  return { change, awaitInstances };
}
