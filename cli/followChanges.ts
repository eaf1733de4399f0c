import { isErrorCode } from '../client/codedErrors.js';
import { exitCodeOf, type FollowChange } from '../client/followWorkflow.js';
import type { TidemillClient } from '../client/tidemillClient.js';
import { auditInWords, serviceInWords, type AuditResult } from '../contracts/consistency.js';
import { ERROR_CODES } from '../contracts/errorCodes.js';
import type { HealResult } from '../contracts/healing.js';
import type { Console } from './output.js';
import type { Context } from './program.js';

/** Exit code of a program that was interrupted. */
const INTERRUPTED = 130;

/**
 * Tells what a workflow does until it ends, and sets the exit code by how it ended. Ctrl-C ends the telling; the workflow
 * goes on.
 */
export async function followChanges(client: TidemillClient, workflowId: string, context: Context): Promise<void> {
  const { format, console, exit } = context;
  const interrupted = new AbortController();
  const interrupt = (): void => {
    interrupted.abort();
  };
  process.once('SIGINT', interrupt);
  try {
    for await (const change of client.watch({ workflowId }, { signal: interrupted.signal })) {
      if (format !== 'table') console.out(JSON.stringify(change));
      else if (isPassing(change)) tellPassing(change, console);
      else console.out(textOf(change));
      if (change.kind === 'failed') exit(isErrorCode(change.code) ? ERROR_CODES[change.code].exit : 1);
      if (change.kind === 'result') exit(exitCodeOf(change.result));
    }
    console.show?.('');
    if (!interrupted.signal.aborted) return;
    exit(INTERRUPTED);
    console.error(`${workflowId} goes on; follow it again with: tidemill follow ${workflowId}`);
  } finally {
    process.off('SIGINT', interrupt);
  }
}

type Passing = Extract<FollowChange, { kind: 'phase' | 'waiting' }>;

/** What is true for a while only, and stands in one line where there is a terminal. */
function isPassing(change: FollowChange): change is Passing {
  return change.kind === 'phase' || change.kind === 'waiting';
}

/** Where there is no terminal a phase shows by its steps; a wait would not show at all. */
function tellPassing(change: Passing, console: Console): void {
  const text = change.kind === 'phase' ? `${change.phase} …` : waitingText(change);
  if (console.show !== undefined) console.show(text);
  else if (change.kind === 'waiting') console.error(text);
}

/** Why nothing happens, for people. */
export function waitingText({ reason }: Extract<FollowChange, { kind: 'waiting' }>): string {
  return `waiting: ${reason}; look whether the lifecycle worker and Temporal run`;
}

function textOf(change: Exclude<FollowChange, Passing>): string {
  switch (change.kind) {
    case 'step':
      return `${change.step}: ${change.result}`;
    case 'look':
      return `${change.step}, look ${change.look}: ${change.decision} on ${change.seen} (${change.reason})`;
    case 'approval': {
      const { model, version } = change.request;
      return `approval: version ${version} waits for it; see and answer with: tidemill approve ${model}`;
    }
    case 'case':
      return `case ${change.case.id}: ${change.case.state}${change.case.note === '' ? '' : ` (${change.case.note})`}`;
    case 'rollout':
      return change.workflowId === null ? 'rollout: none' : `rollout: ${change.workflowId}`;
    case 'result':
      return resultText(change.result);
    case 'failed':
      return failureText(change);
  }
}

/** Activities put code and action into their message; what lacks them gets them here. */
function failureText({ status, code, message }: Extract<FollowChange, { kind: 'failed' }>): string {
  if (!isErrorCode(code) || message.startsWith(code)) return `${status}: ${message}`;
  return `${status}: ${code}: ${message}\n  ${ERROR_CODES[code].action}`;
}

export function resultText(result: unknown): string {
  // Members of results that are shown here are all text or numbers.
  const found = (typeof result === 'object' && result !== null ? result : {}) as Record<string, string | number>;
  const { outcome, version, epoch, reason, to, from, decision } = found;
  switch (outcome) {
    case 'promoted':
      return `promoted version ${String(version)} in epoch ${String(epoch)}`;
    case 'notPromoted':
      return `not promoted: ${String(reason)}`;
    case 'refused':
      return `refused: ${String(reason)}`;
    case 'rolledBack':
      return reason === undefined
        ? `rolled back from version ${String(from)} to version ${String(to)} in epoch ${String(epoch)}`
        : `version ${String(version)} was taken back: ${String(reason)}`;
    case 'alreadyRolledBack':
      return `already rolled back: version ${String(to)} serves`;
    case 'compensated':
      return `compensated: ${String(reason)}`;
    case 'consistent':
    case 'inconsistent':
    case 'inconclusive':
      return auditText(result as AuditResult);
    case 'completed':
      return `completed: version ${String(version)} serves`;
    case 'backfilled':
      return `backfilled ${String(found['view'])}: ${String(found['rows'])} rows in ${String(found['parts'])} parts`;
    case 'healed':
    case 'planned':
      return healText(result as HealResult);
    default:
      return decision === undefined ? `done: ${JSON.stringify(result)}` : `${String(decision)}: ${String(reason)}`;
  }
}

/** A healing in a line, and the greatest change of a value below. */
function healText({ outcome, view, events, inTime, keys, compared, lost, change }: HealResult): string {
  const what = outcome === 'healed' ? 'were inserted' : 'are lacking';
  const head = `${outcome} ${view}: ${events} events of ${keys} keys ${what}, ${inTime} of them in time; ${compared} compared`;
  const value = (known: number | null): string => (known === null ? 'null' : String(known));
  return [
    lost === 0 ? head : `${head}, ${lost} offsets are nowhere any more`,
    ...(change === null
      ? []
      : [
          `  greatest change: ${change.feature} of ${JSON.stringify(change.key)} from ${value(change.before)} to ${value(change.after)}`,
        ]),
  ].join('\n');
}

/** An audit in a line, and what it found below. */
export function auditText(result: AuditResult): string {
  const findings = result.outcome === 'inconclusive' ? [] : result.findings;
  const services = (result.services ?? []).map((each) => `  ${serviceInWords(each)}`);
  return [auditInWords(result), ...services, ...findings.map((finding) => `  ${finding}`)].join('\n');
}
