import { ActivityCancellationType, proxyActivities, proxyLocalActivities, workflowInfo } from '@temporalio/workflow';
import type {
  createGateActivities,
  createLabelActivities,
  createPolicyActivities,
  createRolloutActivities,
  createTrainingActivities,
} from '../activities/index.js';
import { projectOfQueue, trainingQueue } from '../contracts/workflows.js';

type Rollouts = ReturnType<typeof createRolloutActivities>;
type Training = ReturnType<typeof createTrainingActivities>;
type Gates = ReturnType<typeof createGateActivities>;
type Labels = ReturnType<typeof createLabelActivities>;
type Policies = ReturnType<typeof createPolicyActivities>;

/** The project of this workflow: its task queue says so. */
export function project(): string {
  return projectOfQueue(workflowInfo().taskQueue);
}

/** Checks of input: in the worker itself, so that a mistake is answered at once. */
export function validation() {
  return proxyLocalActivities<Rollouts>({ startToCloseTimeout: '10 seconds' });
}

/** Short steps; the registry makes repeats harmless. */
export function rollouts() {
  return proxyActivities<Rollouts>({
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '30 seconds',
    retry: { initialInterval: '500 ms', maximumInterval: '10 seconds', maximumAttempts: 20 },
  });
}

/** Compensations are repeated without limit: a rollout may not stay half undone. */
export function compensations() {
  return proxyActivities<Rollouts>({
    startToCloseTimeout: '1 minute',
    retry: { initialInterval: '500 ms', maximumInterval: '30 seconds', nonRetryableErrorTypes: ['FENCED'] },
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

/** Waiting for labels: as long as it takes. */
export function waiting() {
  return proxyActivities<Labels>({
    startToCloseTimeout: '60 days',
    heartbeatTimeout: '30 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  });
}

/** What the model's definition says, and stream time. */
export function policies() {
  return proxyActivities<Policies>({
    startToCloseTimeout: '60 days',
    heartbeatTimeout: '30 seconds',
    retry: { initialInterval: '500 ms', maximumInterval: '30 seconds' },
  });
}
