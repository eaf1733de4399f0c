import {
  ActivityCancellationType,
  proxyActivities,
  proxyLocalActivities,
  workflowInfo,
  type ActivityInterfaceFor,
  type ActivityOptions,
} from '@temporalio/workflow';
import type {
  createApprovalActivities,
  createBackfillActivities,
  createAuditActivities,
  createDeploymentActivities,
  createFeatureActivities,
  createGateActivities,
  createHealActivities,
  createLabelActivities,
  createPolicyActivities,
  createRecoveryActivities,
  createRolloutActivities,
  createTrainingActivities,
  createWatchActivities,
} from '../activities/index.js';
import { projectOfQueue, trainingQueue } from '../contracts/workflows.js';
import { queueOf } from './activityQueues.js';

type Rollouts = ReturnType<typeof createRolloutActivities> &
  ReturnType<typeof createDeploymentActivities> &
  ReturnType<typeof createApprovalActivities>;
type Features = ReturnType<typeof createFeatureActivities>;
type Backfills = ReturnType<typeof createBackfillActivities>;
type Healings = ReturnType<typeof createHealActivities>;
type Audits = ReturnType<typeof createAuditActivities>;
type Recovery = ReturnType<typeof createRecoveryActivities>;
type Watches = ReturnType<typeof createWatchActivities>;
type Training = ReturnType<typeof createTrainingActivities>;
type Gates = ReturnType<typeof createGateActivities>;
type Labels = ReturnType<typeof createLabelActivities>;
type Policies = ReturnType<typeof createPolicyActivities>;

/** The project of this workflow: its task queue says so. */
export function project(): string {
  return projectOfQueue(workflowInfo().taskQueue);
}

/** Activities, each on the queue that is its own. */
function queued<A extends object>(options: ActivityOptions): ActivityInterfaceFor<A> {
  const onQueue = (taskQueue: string | null): ActivityInterfaceFor<A> =>
    proxyActivities<A>(taskQueue === null ? options : { ...options, taskQueue });
  return new Proxy({} as ActivityInterfaceFor<A>, {
    get: (_, name): unknown => Reflect.get(onQueue(queueOf(String(name), project())), name),
  });
}

/** Checks of input: in the worker itself, so that a mistake is answered at once. */
export function validation() {
  return proxyLocalActivities<Rollouts & Recovery & Backfills & Audits & Healings>({
    startToCloseTimeout: '10 seconds',
  });
}

/** Short steps; the registry makes repeats harmless. */
export function rollouts() {
  return queued<Rollouts>({
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '500 ms', maximumInterval: '10 seconds', maximumAttempts: 20 },
  });
}

/** Building the views of a version in every task: as long as its history takes. */
export function features() {
  return queued<Features>({
    startToCloseTimeout: '7 days',
    heartbeatTimeout: '30 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500 ms', maximumInterval: '30 seconds' },
  });
}

/** What a backfill is made of. */
export function planning() {
  return queued<Backfills>({
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '500 ms', maximumInterval: '10 seconds', maximumAttempts: 20 },
  });
}

/** Parts of a backfill, on the queue for heavy work. */
export function backfills() {
  return proxyActivities<Backfills>({
    taskQueue: trainingQueue(project()),
    startToCloseTimeout: '6 hours',
    heartbeatTimeout: '30 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 10 },
  });
}

/** Compensations are repeated without limit: a rollout may not stay half undone. */
export function compensations() {
  return queued<Rollouts & Recovery>({
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '500 ms', maximumInterval: '30 seconds', nonRetryableErrorTypes: ['FENCED'] },
  });
}

/** Rollbacks and recoveries: repeated without limit, but for what no repetition heals. */
export function recoveries() {
  return queued<Recovery & Rollouts>({
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '200 ms', maximumInterval: '10 seconds' },
  });
}

/** Watching a candidate: as long as its evidence takes. */
export function watches() {
  return queued<Watches>({
    startToCloseTimeout: '60 days',
    heartbeatTimeout: '10 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500 ms', maximumInterval: '30 seconds' },
  });
}

/** Audits read what was served: long, but never in the way of a training. */
export function audits() {
  return queued<Audits>({
    startToCloseTimeout: '6 hours',
    heartbeatTimeout: '30 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 10 },
  });
}

/** Healing of the online store: reads much, and is in the way of nothing. */
export function healings() {
  return queued<Healings>({
    startToCloseTimeout: '6 hours',
    heartbeatTimeout: '30 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500 ms', maximumInterval: '30 seconds', maximumAttempts: 10 },
  });
}

/** Waiting until corrections are taken in: told after a minute that nobody does it, we give up after a few of them. */
export function correctionsWait() {
  return queued<Healings>({
    startToCloseTimeout: '1 day',
    heartbeatTimeout: '30 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500 ms', maximumInterval: '30 seconds', maximumAttempts: 5 },
  });
}

/** Heavy work on a queue of its own. */
export function heavy() {
  return proxyActivities<Training & Gates>({
    taskQueue: trainingQueue(project()),
    startToCloseTimeout: '6 hours',
    heartbeatTimeout: '30 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 10 },
  });
}

/** Waiting, for labels or for the end of a workflow: as long as it takes. */
export function waiting() {
  return queued<Labels & Recovery>({
    startToCloseTimeout: '60 days',
    heartbeatTimeout: '30 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  });
}

/** What the model's definition says, and stream time. */
export function policies() {
  return queued<Policies>({
    startToCloseTimeout: '60 days',
    heartbeatTimeout: '30 seconds',
    retry: { initialInterval: '500 ms', maximumInterval: '30 seconds' },
  });
}
