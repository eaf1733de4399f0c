import { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure } from '@temporalio/workflow';

/** A table for the UI: what has been done, and what is being done. */
export function describeSteps(
  model: string,
  phase: string,
  steps: readonly { readonly step: string; readonly result: string }[],
): string {
  const rows = steps.map(({ step, result }) => `| ${step} | ${result} |`);
  return [`**${model}**: ${phase}`, '', '| step | result |', '| --- | --- |', ...rows].join('\n');
}

/** What went wrong, as its innermost message. */
export function describeFailure(error: unknown): string {
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) return describeFailure(error.cause);
  if (error instanceof CancelledFailure) return 'cancelled';
  if (error instanceof ApplicationFailure) return error.message;
  return error instanceof Error ? error.message : String(error);
}

/** Was an activity refused because a newer rollout has taken over? */
export function isFenced(error: unknown): boolean {
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) return isFenced(error.cause);
  return error instanceof ApplicationFailure && error.type === 'FENCED';
}
