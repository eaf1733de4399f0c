import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { executeChild, sleep } from '@temporalio/workflow';
import type { WatchInput, WatchResult } from '../contracts/rollout.js';

const ATTEMPTS = 60;

/**
 * Runs a child that watches a candidate. After a reset of its parent the child of the run before may still be ending under
 * the same id: it is waited for.
 */
export async function executeWatch(
  child: (input: WatchInput) => Promise<WatchResult>,
  workflowId: string,
  input: WatchInput,
): Promise<WatchResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await executeChild(child, { workflowId, args: [input] });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError) || attempt === ATTEMPTS) throw error;
      await sleep('1 second');
    }
  }
}
