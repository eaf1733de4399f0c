import { createRequire } from 'node:module';
import type * as TemporalWorker from '@temporalio/worker';
import { lifecycleQueue, readingQueue, trainingQueue, waitsQueue } from '../contracts/workflows.js';

const { Worker } = createRequire(import.meta.url)('@temporalio/worker') as typeof TemporalWorker;

/** How many activities run at a time, by queue. */
export interface LifecycleSlots {
  /** Steps of rollouts and rollbacks: none takes long, so that none waits for long. @default 50 */
  readonly steps: number;
  /** Waits hold a slot for days, and cost a timer and a heartbeat: there is room for all. @default 2000 */
  readonly waits: number;
  /** Audits and healings, which read for hours. @default 8 */
  readonly reading: number;
}

const SLOTS: LifecycleSlots = { steps: 50, waits: 2_000, reading: 8 };
/** Calls that ask for work, where it comes seldom; each is a request that is always under way. */
const SELDOM = 2;

export interface LifecycleWorkersOptions {
  readonly connection: TemporalWorker.NativeConnection;
  readonly namespace: string;
  readonly project: string;
  readonly workflowBundle: TemporalWorker.WorkflowBundleOption;
  /** All but what is heavy. */
  readonly activities: object;
  /** Training, gates and parts of backfills. */
  readonly heavy: object;
  readonly slots?: Partial<LifecycleSlots>;
}

/**
 * The Temporal workers of a lifecycle worker, not yet running. What waits or reads has queues of its own, whose slots it may
 * fill; the queue of the workflows serves every activity all the same: workflows of earlier releases have scheduled waits there.
 */
export async function createLifecycleWorkers(options: LifecycleWorkersOptions): Promise<TemporalWorker.Worker[]> {
  const { connection, namespace, project, workflowBundle, activities, heavy } = options;
  const slots = { ...SLOTS, ...options.slots };
  const common = {
    connection,
    namespace,
    activities,
    maxHeartbeatThrottleInterval: '500 ms',
    shutdownGraceTime: '5 seconds',
  } as const;
  return Promise.all([
    Worker.create({
      ...common,
      taskQueue: lifecycleQueue(project),
      workflowBundle,
      maxConcurrentActivityTaskExecutions: slots.steps,
    }),
    Worker.create({
      ...common,
      taskQueue: waitsQueue(project),
      maxConcurrentActivityTaskExecutions: slots.waits,
      maxConcurrentActivityTaskPolls: SELDOM,
    }),
    Worker.create({
      ...common,
      taskQueue: readingQueue(project),
      maxConcurrentActivityTaskExecutions: slots.reading,
      maxConcurrentActivityTaskPolls: SELDOM,
    }),
    Worker.create({
      ...common,
      taskQueue: trainingQueue(project),
      activities: heavy,
      // Training takes all the cores that there are.
      maxConcurrentActivityTaskExecutions: 1,
    }),
  ]);
}
