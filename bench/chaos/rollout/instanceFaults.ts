import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FOLLOW_TIMEOUT_MS } from '../../../activities/deploymentChanges.js';
import { whileApprovalWaits } from './approvalFaults.js';
import { MODEL, type Cluster } from './cluster.js';
import { outcomeOf, retrain, type RolloutFault } from './rolloutSteps.js';

/** Home of an instance of its own, with the champion's file and no other. */
async function homeWithoutCandidate({ directory, configuration, registry }: Cluster, id: string): Promise<string> {
  const home = join(directory, `${id}-home`);
  const champion = (await registry.deployment(MODEL))?.champion ?? 0;
  const file = (await registry.version(MODEL, champion))?.artifact.uri.replace('objects://', '') ?? '';
  await mkdir(join(home, 'objects', 'models'), { recursive: true });
  await cp(join(configuration.home, 'objects', file), join(home, 'objects', file));
  return home;
}

/** The same with the newest version's file, too, of which a byte is another: it has come, and will never be right. */
async function homeWithBrokenCandidate(cluster: Cluster, id: string): Promise<string> {
  const home = await homeWithoutCandidate(cluster, id);
  const { uri } = (await cluster.registry.versions(MODEL)).at(-1)?.artifact ?? { uri: '' };
  const file = uri.replace('objects://', '');
  const bytes = await readFile(join(cluster.configuration.home, 'objects', file));
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  await writeFile(join(home, 'objects', file), bytes);
  return home;
}

async function live(cluster: Cluster, instance: string): Promise<void> {
  while (!(await cluster.registry.liveInstances(MODEL)).some((each) => each.instance === instance)) await sleep(100);
}

/** Runs a case in which `score-2`, from some moment on, lives in another home. */
async function moved(
  cluster: Cluster,
  homeOf: (cluster: Cluster, id: string) => Promise<string>,
  act: (move: () => Promise<void>) => Promise<string>,
): Promise<string> {
  try {
    return await act(async () => {
      const home = await homeOf(cluster, `moved-${Date.now()}`);
      await cluster.worker('score-2').stop();
      await cluster.startScoring('score-2', { TIDEMILL_HOME: home });
      await live(cluster, 'score-2');
    });
  } finally {
    await cluster.worker('score-2').stop();
    await cluster.startScoring('score-2');
    await live(cluster, 'score-2');
  }
}

/** The last rollout must have been given up because of that instance, and say so. */
async function requireBlamed({ registry }: Cluster, step: string, why = ''): Promise<void> {
  const reasons = (await registry.auditRows(MODEL)).filter(({ action }) => action === 'version.rejected');
  const reason = reasons.at(-1)?.reason ?? '';
  if (!reason.includes(why)) throw new Error(`the reason does not say ${why}: ${reason}`);
  if (!reason.includes('INSTANCES_BEHIND') || !reason.includes('score-2'))
    throw new Error(`given up for another reason: ${reason}`);
  const [last] = await registry.rollouts(MODEL);
  const reachedStep = (await registry.journal(MODEL, last?.token ?? 0)).at(-1)?.step;
  if (reachedStep !== step) throw new Error(`given up at ${reachedStep}, not at ${step}`);
}

/** Gives every epoch that an instance has said it will never follow, once `stop` is called. */
function watchRefusals({ registry }: Cluster, instance: string): { stop: () => Promise<readonly number[]> } {
  const refused = new Set<number>();
  let isStopped = false;
  const watching = (async () => {
    while (!isStopped) {
      const lease = (await registry.liveInstances(MODEL)).find((each) => each.instance === instance);
      if (lease?.refusedEpoch !== undefined) refused.add(lease.refusedEpoch);
      await sleep(100);
    }
  })();
  return {
    stop: async () => {
      isStopped = true;
      await watching;
      return [...refused];
    },
  };
}

/** The preparation was refused in so many words, and the rollout given up before it could tire of waiting. */
async function requireNoWait({ registry }: Cluster, refused: readonly number[]): Promise<void> {
  if (refused.length === 0) throw new Error('score-2 never said that it will not follow');
  const [last] = await registry.rollouts(MODEL);
  const begun =
    (await registry.journal(MODEL, last?.token ?? 0)).find(({ step }) => step === 'prepare')?.startedAt ?? 0;
  const rejected = (await registry.auditRows(MODEL)).findLast(({ action }) => action === 'version.rejected')?.at ?? 0;
  if (rejected - begun >= FOLLOW_TIMEOUT_MS)
    throw new Error(`it was waited for, ${rejected - begun} ms, though score-2 had refused`);
}

export const INSTANCE_FAULTS: readonly RolloutFault[] = [
  {
    step: 'shadow',
    fault: 'one instance cannot load the candidate',
    outcomes: ['compensated'],
    run: (cluster, id) =>
      moved(cluster, homeWithoutCandidate, async (takeAway) => {
        await takeAway();
        const outcome = outcomeOf(await cluster.lifecycle.retrainResult(await retrain(cluster, id)));
        await requireBlamed(cluster, 'shadow');
        return outcome;
      }),
  },
  {
    step: 'prepare',
    fault: 'one instance cannot load the candidate',
    outcomes: ['compensated'],
    run: (cluster, id) =>
      moved(cluster, homeWithoutCandidate, async (takeAway) => {
        const outcome = await whileApprovalWaits(cluster, id, takeAway);
        await requireBlamed(cluster, 'prepare');
        return outcome;
      }),
  },
  {
    step: 'prepare',
    fault: 'one instance finds the candidate broken',
    outcomes: ['compensated'],
    run: (cluster, id) =>
      moved(cluster, homeWithBrokenCandidate, async (breakIt) => {
        const refusals = watchRefusals(cluster, 'score-2');
        const outcome = await whileApprovalWaits(cluster, id, breakIt).catch(async (error: unknown) => {
          await refusals.stop();
          throw error;
        });
        await requireNoWait(cluster, await refusals.stop());
        await requireBlamed(cluster, 'prepare', 'SHA-256');
        return outcome;
      }),
  },
  {
    step: 'commit',
    fault: 'an instance joins after prepare',
    outcomes: ['promoted'],
    run: async (cluster, id) => {
      await cluster.restartLifecycle({ TIDEMILL_FAIL_POINT: 'prepare/after-result:1' });
      const workflowId = await retrain(cluster, id);
      await cluster.lifecycleEnded();
      // Nobody commits meanwhile: what is deployed is the preparation.
      await cluster.startScoring('score-3');
      await live(cluster, 'score-3');
      const head = await cluster.registry.deployment(MODEL);
      await cluster.restartLifecycle();
      try {
        const result = await cluster.lifecycle.retrainResult(workflowId);
        const joined = (await cluster.registry.liveInstances(MODEL)).find(({ instance }) => instance === 'score-3');
        if (head?.prepare === null) throw new Error('it joined after the commit');
        if (result.outcome === 'promoted' && (joined?.activeEpoch ?? 0) < result.epoch)
          throw new Error(`it follows epoch ${joined?.activeEpoch}, committed was ${result.epoch}`);
        return outcomeOf(result);
      } finally {
        await cluster.worker('score-3').stop();
      }
    },
  },
];
