import { join } from 'node:path';
import type { NativeConnection, WorkflowBundleOption } from '@temporalio/worker';
import { createLifecycleWorkers, type LifecycleSlots } from '../../workers/lifecycleWorkers.js';

export interface TestLifecycle {
  readonly connection: NativeConnection;
  readonly project: string;
  /** Whatever the workflows of the test schedule, on any queue. */
  readonly activities: object;
  readonly slots?: Partial<LifecycleSlots>;
  /** @default the bundle as it is built */
  readonly workflowBundle?: WorkflowBundleOption;
}

/** The bundle of the workflows as `npm run build` writes it. */
export const builtBundle = { codePath: join(process.cwd(), 'dist', 'workflow-bundle.js') };

/** Serves all task queues of a project with activities of a test, until it is stopped. */
export async function serveLifecycle(options: TestLifecycle): Promise<{ stop(): Promise<void> }> {
  const { activities } = options;
  const workers = await createLifecycleWorkers({
    namespace: 'default',
    workflowBundle: builtBundle,
    heavy: activities,
    ...options,
  });
  const running = Promise.all(workers.map((worker) => worker.run()));
  return {
    stop: async () => {
      for (const worker of workers) worker.shutdown();
      await running;
    },
  };
}
