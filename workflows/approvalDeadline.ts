import { condition, patched } from '@temporalio/workflow';
import { DAY_MS } from '../contracts/duration.js';
import type { ApprovalDecision, RolloutFence } from '../contracts/rollout.js';
import { rollouts } from './activityProxies.js';

/** How long a person may take to approve. */
const APPROVAL_DEADLINE_MS = 7 * DAY_MS;

/** What a signal said of a decision: anybody can send one, and one may be lost. */
export interface ToldOfApproval {
  decision: ApprovalDecision | null;
}

/**
 * The decision as the registry has it; null where none was taken in time. A signal is a reason to look there, no more, and
 * so is the deadline.
 */
export async function decisionOn(fence: RolloutFence, told: ToldOfApproval): Promise<ApprovalDecision | null> {
  const until = Date.now() + APPROVAL_DEADLINE_MS;
  for (;;) {
    const isTold = await condition(() => told.decision !== null, until - Date.now());
    const { decision } = told;
    if (!isTold || decision === null) {
      return patched('deadline-looks-too') ? (await rollouts().endApproval(fence)).decision : null;
    }
    // Histories of before the registry kept decisions have no answer here.
    const recorded = (await rollouts().recordApproval(fence)) as
      Awaited<ReturnType<ReturnType<typeof rollouts>['recordApproval']>> | undefined;
    if (recorded === undefined) return decision;
    if (recorded.decision !== null) return recorded.decision;
    // Who told of it meanwhile may have been right.
    if (told.decision === decision || !patched('later-answers-count')) told.decision = null;
  }
}
