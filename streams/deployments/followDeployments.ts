import { setTimeout as sleep } from 'node:timers/promises';
import type { DeploymentRecord } from '../../contracts/records.js';
import type { ErrorCode } from '../../contracts/errorCodes.js';
import { isTidemillError, messageOf } from '../../contracts/errors.js';
import { deploymentsTopic } from '../../contracts/topics.js';
import type { Scorer } from '../../scoring/scorer.js';
import type { Log, LogRecord } from '../../stores/log/log.js';
import type { InstanceFeatures, InstanceState, Registry } from '../../stores/registry/registry.js';

/** An instance's lease lasts this long and is renewed this often. */
export const LEASE_MS = 10_000;
export const RENEW_MS = 2_000;

/** Why a version will never be loaded by this process. A file that is missing may come, and a store that is away, too. */
const FINAL: readonly ErrorCode[] = [
  'MODEL_INVALID',
  'MODEL_WIDTH_MISMATCH',
  'SERVICE_UNREADABLE',
  'OBJECT_CORRUPT',
  'OBJECT_OUTSIDE_ROOT',
];

export interface FollowOptions {
  readonly log: Log;
  readonly registry: Registry;
  readonly project: string;
  readonly model: string;
  readonly instance: string;
  readonly scorer: Scorer;
  /** What computes the features that versions read. @default nothing: whatever is scored has its features */
  readonly features?: FeatureHost;
  /** A deployment that cannot be followed, or a lease that cannot be renewed: said, while the last good version serves on. */
  readonly onProblem: (text: string) => void;
  /** Called with every renewal: what the instance wants to say besides. */
  readonly onRenew?: () => Promise<void>;
  /** Wall clock, ms. @default Date.now */
  readonly clock?: () => number;
  /** @default RENEW_MS */
  readonly renewMs?: number;
}

/** A worker's hold on the deployments of its model. */
export interface FollowedDeployments {
  /** The highest epoch that the registry or the topic has told of; 0 while there is none. */
  readonly headEpoch: number;
  /** How long the instance's lease still lasts; 0 where it was lost. */
  readonly leaseRemainingMs: number;
  stop(): Promise<void>;
}

/** Computes features, and can be asked for those of other versions. */
export interface FeatureHost {
  /**
   * Resolves once the features of all versions that a deployment names are computed.
   *
   * @throws TidemillError FEATURES_NOT_READY where they cannot be.
   */
  cover(deployment: DeploymentRecord): Promise<void>;
  readonly features: InstanceFeatures;
  /** What is not computed, and why; null where everything is. */
  readonly problem: string | null;
  /** Open while the champion's features are not there. */
  readonly breaker: 'closed' | 'open';
}

/**
 * Makes a worker follow the topic `deployments`: the head of the registry is applied before anything is consumed, then
 * every higher epoch as it comes. The instance says through its lease which epoch is loaded and which one serves.
 *
 * - A deployment that cannot be loaded leaves the last good one in force; the lease shows the problem and does not claim
 *   the epoch. It is tried again whenever the topic brings it again, which the lifecycle worker sees to; where that will
 *   never help, the lease says that, too, so that nobody waits for it.
 * - Loading holds up nothing: not scoring, and not a higher epoch, which overtakes.
 * - An instance whose lease has run out, as after a freeze, applies the head of the registry before it takes another.
 */
export async function followDeployments(options: FollowOptions): Promise<FollowedDeployments> {
  const { log, registry, project, model, instance, scorer, onProblem } = options;
  const clock = options.clock ?? Date.now;
  const renewMs = options.renewMs ?? RENEW_MS;
  let stopped = false;
  const state = (): InstanceState => ({
    instance,
    kind: 'stream',
    models: [model],
    readyEpoch: scorer.readyEpoch,
    activeEpoch: scorer.activeEpoch,
    breaker: options.features?.breaker === 'open' ? 'open' : scorer.breaker,
    problem: options.features?.problem ?? scorer.problem,
    ...(refusedEpoch > scorer.activeEpoch ? { refusedEpoch } : {}),
    ...(options.features === undefined ? {} : { features: options.features.features }),
  });

  let headEpoch = 0;
  let refusedEpoch = 0;
  /** Epochs that are being loaded. */
  const following = new Map<number, Promise<void>>();
  const follow = (deployment: DeploymentRecord): Promise<void> => {
    const { epoch } = deployment;
    headEpoch = Math.max(headEpoch, epoch);
    if (epoch <= scorer.activeEpoch) return Promise.resolve();
    const known = following.get(epoch);
    if (known !== undefined) return known;
    // Features first: an epoch is claimed only where its versions can be asked.
    const loading = Promise.resolve(options.features?.cover(deployment))
      .then(() => scorer.prepare(deployment))
      .then(() => scorer.activate(deployment))
      .catch((error: unknown) => {
        if (FINAL.some((code) => isTidemillError(error, code))) refusedEpoch = Math.max(refusedEpoch, epoch);
        onProblem(`epoch ${epoch} cannot be followed: ${messageOf(error)}`);
      })
      .finally(() => following.delete(epoch));
    following.set(epoch, loading);
    return loading;
  };
  const followHead = async (): Promise<void> => {
    const head = await registry.deployment(model);
    if (head !== null) await follow(head);
  };

  let leaseEndsAt = Number.NEGATIVE_INFINITY;
  /** The same as the registry has it: only what was written counts. */
  let renewedUntil = 0;
  const renewOnce = async (): Promise<void> => {
    if (stopped) return;
    try {
      // Nobody counted on this instance any more: what has happened since comes first.
      if (clock() >= leaseEndsAt) await followHead();
      const renewedAt = clock();
      await registry.renewInstance(state(), LEASE_MS);
      leaseEndsAt = renewedAt + LEASE_MS;
      renewedUntil = leaseEndsAt;
      await options.onRenew?.();
    } catch (error) {
      // Unrenewed, the lease ends by itself and the instance counts as gone: that is what it then is.
      onProblem(`the lease could not be renewed: ${messageOf(error)}`);
    }
  };
  /** Renewals one after the other, or an older state could overwrite a newer one. */
  let renewals = Promise.resolve();
  let waiting = 0;
  const renew = (): Promise<void> => {
    waiting++;
    renewals = renewals.then(renewOnce).finally(() => waiting--);
    return renewals;
  };
  const apply = async (deployment: DeploymentRecord): Promise<void> => {
    if (deployment.epoch <= scorer.activeEpoch) return;
    await follow(deployment);
    await renew();
  };

  const topic = deploymentsTopic(project);
  await log.ensureTopics([{ topic, partitions: 1, compacted: true }]);
  await followHead();
  leaseEndsAt = clock() + LEASE_MS;
  await renew();
  const timer = setInterval(() => {
    if (waiting === 0) void renew();
  }, renewMs);

  let reader: AsyncIterator<readonly LogRecord[]> | null = null;
  const read = async (): Promise<void> => {
    const [range] = await log.offsets(topic);
    reader = log.read({ topic, partition: 0, from: range?.low ?? 0, to: null })[Symbol.asyncIterator]();
    for (let next = await reader.next(); next.done !== true && !stopped; next = await reader.next()) {
      const newest = newestOf(model, next.value, onProblem);
      if (newest !== null) void apply(newest);
    }
  };
  void (async () => {
    while (!stopped) {
      // From the start again: epochs that are known are ignored.
      await read().catch((error: unknown) => onProblem(`deployments are read anew: ${messageOf(error)}`));
      if (!stopped) await sleep(renewMs);
    }
  })();

  return {
    get headEpoch() {
      return Math.max(headEpoch, scorer.activeEpoch);
    },
    get leaseRemainingMs() {
      return Math.max(0, renewedUntil - clock());
    },
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      await renewals;
      // A registry that is away keeps nobody from stopping: the lease ends by itself.
      await registry
        .removeInstance(instance)
        .catch((error: unknown) => onProblem(`the lease could not be given up: ${messageOf(error)}`));
      void reader?.return?.();
    },
  };
}

/**
 * The deployment of the highest epoch that records hold for a model; null where there is none. A record that cannot be read
 * is passed over: the next one of its model replaces it.
 */
function newestOf(
  model: string,
  records: readonly LogRecord[],
  onProblem: (text: string) => void,
): DeploymentRecord | null {
  let newest: DeploymentRecord | null = null;
  for (const { value, offset } of records) {
    // A tombstone says nothing.
    if (value === null) continue;
    try {
      const deployment = JSON.parse(value.toString('utf8')) as DeploymentRecord;
      if (deployment.model === model && deployment.epoch > (newest?.epoch ?? 0)) newest = deployment;
    } catch (error) {
      onProblem(`the deployment at offset ${offset} cannot be read: ${messageOf(error)}`);
    }
  }
  return newest;
}
