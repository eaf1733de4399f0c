import { MODEL, type Cluster } from './cluster.js';
import { reached, recovered, retrain, type RolloutFault } from './rolloutSteps.js';

/** What two rollbacks came to, in the order of their names. */
async function results({ lifecycle }: Cluster, workflowIds: readonly string[]): Promise<string> {
  const all = await Promise.all(workflowIds.map((workflowId) => lifecycle.rollbackResult(workflowId)));
  return all
    .map(({ outcome }) => outcome)
    .sort()
    .join(' and ');
}

const twice: readonly RolloutFault[] = ['canary', 'probation'].map((step) => ({
  step,
  fault: 'two rollbacks at once',
  // One may take the token before the other has said that it is done: it finds the deployment changed, and changes nothing.
  outcomes: ['alreadyRolledBack and rolledBack', 'rolledBack and rolledBack'],
  run: async (cluster, id) => {
    const workflowId = await retrain(cluster, id);
    await reached(cluster, workflowId, step);
    const both = await Promise.all(
      ['a', 'b'].map((name) => cluster.lifecycle.startRollback({ model: MODEL, reason: 'chaos' }, `${id}-${name}`)),
    );
    const outcome = await results(cluster, both);
    await cluster.lifecycle.retrainResult(workflowId).catch(() => null);
    return outcome;
  },
}));

/** The first one's worker is killed in its midst; a second one is asked for before the first has gone on. */
const killed: readonly RolloutFault[] = ['after-intent', 'after-effect'].map((place) => ({
  step: 'probation',
  fault: `rollback killed ${place}, then another`,
  outcomes: ['alreadyRolledBack and rolledBack'],
  run: async (cluster, id) => {
    const workflowId = await retrain(cluster, id);
    await reached(cluster, workflowId, 'probation');
    await cluster.restartLifecycle({ TIDEMILL_FAIL_POINT: `rollback/${place}:1` });
    const request = { model: MODEL, reason: 'chaos' };
    const first = await cluster.lifecycle.startRollback(request, `${id}-a`);
    await cluster.lifecycleEnded();
    const second = await cluster.lifecycle.startRollback(request, `${id}-b`);
    await cluster.restartLifecycle();
    const outcome = await results(cluster, [first, second]);
    await cluster.lifecycle.retrainResult(workflowId).catch(() => null);
    return outcome;
  },
}));

/** Its worker is killed in its midst, and before another one goes on, somebody ends the workflow for good. */
const terminated: readonly RolloutFault[] = [
  ['canary', 'lease/before-intent'],
  ['canary', 'rollback/after-intent'],
  ['probation', 'lease/before-intent'],
  ['probation', 'rollback/after-intent'],
  ['probation', 'rollback/after-effect'],
].map(([step = '', place = '']) => ({
  step,
  fault: `rollback terminated at ${place}`,
  outcomes: ['back to the version before'],
  run: async (cluster, id) => {
    const { registry, lifecycle } = cluster;
    const champion = (await registry.deployment(MODEL))?.champion;
    const workflowId = await retrain(cluster, id);
    await reached(cluster, workflowId, step);
    const before = (await registry.newestRollout(MODEL))?.token ?? 0;
    await cluster.restartLifecycle({ TIDEMILL_FAIL_POINT: `${place}:1` });
    const rollback = await lifecycle.startRollback({ model: MODEL, reason: 'chaos' }, id);
    await cluster.lifecycleEnded();
    await lifecycle.temporal.workflow.getHandle(rollback).terminate('chaos');
    await cluster.restartLifecycle();
    // The next token is the rollback's, the one after it that of whoever finishes it.
    const outcome = await recovered(cluster, before + 1);
    await lifecycle.retrainResult(workflowId).catch(() => null);
    return outcome === `rolled back to version ${champion}` ? 'back to the version before' : outcome;
  },
}));

export const ROLLBACK_FAULTS: readonly RolloutFault[] = [...twice, ...killed, ...terminated];
