import { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure } from '@temporalio/workflow';
import type { SaidVerdict } from '../contracts/rollout.js';
import type { DriftCase, LifecycleStatus, RetrainResult } from '../contracts/workflows.js';

/** A table for the UI: what has been done, and what is being done. */
export function describeSteps(
  model: string,
  phase: string,
  steps: readonly { readonly step: string; readonly result: string }[],
): string {
  const rows = steps.map(({ step, result }) => `| ${step} | ${result} |`);
  return [`**${model}**: ${phase}`, '', '| step | result |', '| --- | --- |', ...rows].join('\n');
}

/** Gates that did not pass, and why. */
export function describeOpen(verdicts: readonly SaidVerdict[]): string {
  const open = verdicts.filter(({ verdict }) => verdict !== 'pass');
  return open.map(({ gate, verdict, reason }) => `${gate} ${verdict} (${reason})`).join('; ');
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

/** A lifecycle for the UI: who rolls out, and the drift cases. */
export function describeLifecycle(
  model: string,
  cases: readonly DriftCase[],
  {
    holder,
    queued,
    paused,
    rollbacks,
  }: Required<Pick<LifecycleStatus, 'queued' | 'paused'>> & {
    readonly holder: LifecycleStatus['rollout'];
    readonly rollbacks: readonly { readonly workflowId: string }[];
  },
): string {
  const back = rollbacks.map(({ workflowId }) => workflowId);
  const busy = [...(holder === null ? [] : [holder.workflowId]), ...back];
  const rollout = `${busy.join(', ') || 'none'}${queued === null ? '' : ` (then ${queued.workflowId})`}`;
  return [
    `**${model}** rollout: ${rollout}${paused === null ? '' : `; paused by ${paused.by}: ${paused.reason}`}`,
    '',
    '| case | state | onset | note |',
    '| --- | --- | --- | --- |',
    ...cases.map(({ id, state, note, onset }) => `| ${id} | ${state} | ${new Date(onset).toISOString()} | ${note} |`),
  ].join('\n');
}

/** How a rollout ended, in a line. */
export function describeResult(result: RetrainResult): string {
  if (result.outcome === 'promoted') return `promoted version ${result.version}`;
  if (result.outcome === 'fenced') return `version ${result.version} was promoted, then: ${result.reason}`;
  if (result.outcome === 'rolledBack') return `version ${result.version} was taken back: ${result.reason}`;
  return result.outcome === 'refused' ? `refused: ${result.reason}` : `not promoted: ${result.reason}`;
}
