import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROLLOUT_STEPS } from '../../../contracts/rollout.js';
import { lifecycleId, SIGNAL_CLOSED } from '../../../contracts/workflows.js';
import { APPROVAL_FAULTS } from './approvalFaults.js';
import { MODEL, type Cluster } from './cluster.js';
import { INSTANCE_FAULTS } from './instanceFaults.js';
import { MESSAGE_FAULTS } from './messageFaults.js';
import { ROLLBACK_FAULTS } from './rollbackFaults.js';
import { outcomeOf, reached, recovered, retrain, type RolloutFault } from './rolloutSteps.js';
import { TRAINING_FAULTS } from './trainingFaults.js';

/** Steps as the journal names them: nobody approves here, and the canary has two. */
const JOURNALED = { register: ['register', 'plan'], canary: ['canary/0.2', 'canary/0.5'], approval: [] };
const STEPS = ROLLOUT_STEPS.flatMap((step): readonly string[] =>
  step in JOURNALED ? JOURNALED[step as keyof typeof JOURNALED] : [step],
);
const PLACES = ['before-intent', 'after-effect', 'after-result'] as const;

/** SIGKILL of the lifecycle worker before, in and after every step. */
const kills: readonly RolloutFault[] = STEPS.flatMap((step) =>
  PLACES.map((place) => ({
    step,
    fault: `kill ${place}`,
    outcomes: ['promoted'],
    run: async (cluster, id) => {
      await cluster.restartLifecycle({ TIDEMILL_FAIL_POINT: `${step}/${place}:1` });
      const workflowId = await retrain(cluster, id);
      await cluster.lifecycleEnded();
      await cluster.startLifecycle();
      return outcomeOf(await cluster.lifecycle.retrainResult(workflowId));
    },
  })),
);

/** Somebody ends the workflow while it is at a step. */
const interruptions: readonly RolloutFault[] = ['evaluationFit', 'shadow', 'canary', 'prepare', 'probation'].flatMap(
  (step): RolloutFault[] => [
    {
      step,
      fault: 'terminate',
      outcomes:
        step === 'probation' ? ['promoted'] : step === 'prepare' ? ['compensated', 'promoted'] : ['compensated'],
      run: async (cluster, id) => {
        const workflowId = await retrain(cluster, id);
        await reached(cluster, workflowId, step);
        const before = (await cluster.registry.rollouts(MODEL))[0]?.token ?? 0;
        await cluster.lifecycle.temporal.workflow.getHandle(workflowId).terminate('chaos');
        return recovered(cluster, before);
      },
    },
    {
      step,
      fault: 'cancel',
      outcomes:
        step === 'probation' ? ['promoted'] : step === 'prepare' ? ['compensated', 'promoted'] : ['compensated'],
      run: async (cluster, id) => {
        const workflowId = await retrain(cluster, id);
        await reached(cluster, workflowId, step);
        await cluster.lifecycle.temporal.workflow.getHandle(workflowId).cancel();
        return outcomeOf(await cluster.lifecycle.retrainResult(workflowId));
      },
    },
  ],
);

const rollbacks: readonly RolloutFault[] = ['canary', 'probation'].map((step) => ({
  step,
  fault: 'rollback',
  outcomes: ['rolledBack'],
  run: async (cluster, id) => {
    const workflowId = await retrain(cluster, id);
    await reached(cluster, workflowId, step);
    const rollback = await cluster.lifecycle.startRollback({ model: MODEL, reason: 'chaos' }, id);
    const result = await cluster.lifecycle.rollbackResult(rollback);
    await cluster.lifecycle.retrainResult(workflowId).catch(() => null);
    return result.outcome;
  },
}));

const rivals: readonly RolloutFault[] = [
  {
    step: 'lease',
    fault: 'two at once',
    promotions: 2,
    outcomes: ['promoted and promoted'],
    run: async (cluster, id) => {
      const both = await Promise.all([retrain(cluster, `${id}-a`), retrain(cluster, `${id}-b`)]);
      const results = await Promise.all(both.map((each) => cluster.lifecycle.retrainResult(each)));
      return results.map(outcomeOf).sort().join(' and ');
    },
  },
  {
    step: 'dataset',
    fault: 'superseded',
    outcomes: ['compensated and promoted'],
    run: async (cluster, id) => {
      const first = await retrain(cluster, `${id}-a`);
      await reached(cluster, first, 'dataset');
      const second = await retrain(cluster, `${id}-b`, { supersede: true });
      const results = await Promise.all([first, second].map((each) => cluster.lifecycle.retrainResult(each)));
      return results.map(outcomeOf).join(' and ');
    },
  },
];

const outages: readonly RolloutFault[] = [
  {
    step: 'canary',
    fault: 'instance killed',
    outcomes: ['promoted'],
    run: async (cluster, id) => {
      const workflowId = await retrain(cluster, id);
      await reached(cluster, workflowId, 'canary');
      await cluster.worker('score-2').kill();
      await cluster.startScoring('score-2');
      return outcomeOf(await cluster.lifecycle.retrainResult(workflowId));
    },
  },
  {
    step: 'prepare',
    fault: 'instance frozen for 15 s',
    outcomes: ['promoted'],
    run: async (cluster, id) => {
      const workflowId = await retrain(cluster, id);
      await reached(cluster, workflowId, 'canary');
      cluster.worker('score-2').signal('SIGSTOP');
      await sleep(15_000);
      cluster.worker('score-2').signal('SIGCONT');
      return outcomeOf(await cluster.lifecycle.retrainResult(workflowId));
    },
  },
];

/** Something that everything stands on is away for a while. */
const away = (step: string, fault: string, make: (cluster: Cluster) => Promise<void>): RolloutFault => ({
  step,
  fault,
  outcomes: ['promoted'],
  run: async (cluster, id) => {
    const workflowId = await retrain(cluster, id);
    await reached(cluster, workflowId, step);
    await make(cluster);
    return outcomeOf(await cluster.lifecycle.retrainResult(workflowId));
  },
});

const servers: readonly RolloutFault[] = [
  away('evaluationFit', 'Temporal killed and restarted', (cluster) => cluster.restartTemporal(2_000)),
  away('canary', 'Temporal killed and restarted', (cluster) => cluster.restartTemporal(2_000)),
  away('shadow', 'Kafka down for 30 s', (cluster) => cluster.restartKafka(30_000)),
  away('canary', 'registry locked for 30 s', (cluster) => cluster.lockRegistry(30_000)),
  away('canary', 'workflow reset to its start', async ({ lifecycle, registry }) => {
    const [newest] = await registry.rollouts(MODEL);
    const { temporal } = lifecycle;
    const workflowId = newest?.holder ?? '';
    const { events } = await temporal.workflow.getHandle(workflowId).fetchHistory();
    const first = events?.find(({ workflowTaskCompletedEventAttributes: attributes }) => (attributes ?? null) !== null);
    await temporal.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId },
      reason: 'chaos',
      requestId: randomUUID(),
      workflowTaskFinishEventId: first?.eventId ?? null,
    });
  }),
  away('canary', 'every signal three times', async ({ lifecycle, registry, configuration }) => {
    const [newest] = await registry.rollouts(MODEL);
    const handle = lifecycle.temporal.workflow.getHandle(lifecycleId(configuration.project, MODEL));
    for (let times = 0; times < 3; times++) {
      await lifecycle.grantRollout(newest?.holder ?? '');
      await handle.signal(SIGNAL_CLOSED, { workflowId: 'somebody else', outcome: 'promoted', at: null });
    }
  }),
];

export const ROLLOUT_FAULTS: readonly RolloutFault[] = [
  ...kills,
  ...interruptions,
  ...rollbacks,
  ...rivals,
  ...outages,
  ...servers,
  ...TRAINING_FAULTS,
  ...APPROVAL_FAULTS,
  ...INSTANCE_FAULTS,
  ...ROLLBACK_FAULTS,
  ...MESSAGE_FAULTS,
];

/** A few of each kind: what runs with every change. */
export const SHORT_FORM: readonly string[] = ['commit kill after-effect', 'shadow terminate', 'probation rollback'];
