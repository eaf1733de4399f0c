import { setTimeout as sleep } from 'node:timers/promises';
import type { DeploymentRecord } from '../../contracts/records.js';
import { messageOf } from '../../contracts/errors.js';
import { deploymentsTopic } from '../../contracts/topics.js';
import type { Scorer } from '../../scoring/scorer.js';
import type { Log, LogRecord } from '../../stores/log/log.js';
import type { InstanceState, Registry } from '../../stores/registry/registry.js';

/** An instance's lease lasts this long and is renewed this often. */
export const LEASE_MS = 10_000;
export const RENEW_MS = 2_000;

export interface FollowOptions {
  readonly log: Log;
  readonly registry: Registry;
  readonly project: string;
  readonly model: string;
  readonly instance: string;
  readonly scorer: Scorer;
  /** A deployment that cannot be followed, or a lease that cannot be renewed: said, while the last good version serves on. */
  readonly onProblem: (text: string) => void;
  /** Called with every renewal: what the instance wants to say besides. */
  readonly onRenew?: () => Promise<void>;
}

/**
 * Makes a worker follow the topic `deployments`: the head of the registry is applied before anything is consumed, then
 * every higher epoch as it comes. The instance says through its lease which epoch is loaded and which one serves.
 */
export async function followDeployments(options: FollowOptions): Promise<{ stop(): Promise<void> }> {
  const { log, registry, project, model, instance, scorer, onProblem } = options;
  let stopped = false;
  const state = (): InstanceState => ({
    instance,
    kind: 'stream',
    models: [model],
    readyEpoch: scorer.readyEpoch,
    activeEpoch: scorer.activeEpoch,
    breaker: scorer.breaker,
    problem: scorer.problem,
  });
  const renew = async (): Promise<void> => {
    try {
      await registry.renewInstance(state(), LEASE_MS);
      await options.onRenew?.();
    } catch (error) {
      // Unrenewed, the lease ends by itself and the instance counts as gone: that is what it then is.
      onProblem(`the lease could not be renewed: ${messageOf(error)}`);
    }
  };
  const apply = async (deployment: DeploymentRecord): Promise<void> => {
    if (deployment.epoch <= scorer.activeEpoch) return;
    try {
      await scorer.prepare(deployment);
      scorer.activate(deployment);
    } catch (error) {
      onProblem(`epoch ${deployment.epoch} cannot be followed: ${messageOf(error)}`);
    }
    await renew();
  };

  const topic = deploymentsTopic(project);
  await log.ensureTopics([{ topic, partitions: 1, compacted: true }]);
  const head = await registry.deployment(model);
  if (head !== null) await apply(head);
  await renew();
  const timer = setInterval(() => void renew(), RENEW_MS);

  let reader: AsyncIterator<readonly LogRecord[]> | null = null;
  const read = async (): Promise<void> => {
    const [range] = await log.offsets(topic);
    reader = log.read({ topic, partition: 0, from: range?.low ?? 0, to: null })[Symbol.asyncIterator]();
    for (let next = await reader.next(); next.done !== true && !stopped; next = await reader.next()) {
      for (const record of next.value) {
        const deployment = parseDeployment(record);
        if (deployment !== null && deployment.model === model) await apply(deployment);
      }
    }
  };
  void (async () => {
    while (!stopped) {
      // From the start again: epochs that are known are ignored.
      await read().catch((error: unknown) => onProblem(`deployments are read anew: ${messageOf(error)}`));
      if (!stopped) await sleep(RENEW_MS);
    }
  })();

  return {
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      // A registry that is away keeps nobody from stopping: the lease ends by itself.
      await registry
        .removeInstance(instance)
        .catch((error: unknown) => onProblem(`the lease could not be given up: ${messageOf(error)}`));
      void reader?.return?.();
    },
  };
}

/** Null for a tombstone. */
function parseDeployment({ value }: LogRecord): DeploymentRecord | null {
  return value === null ? null : (JSON.parse(value.toString('utf8')) as DeploymentRecord);
}
