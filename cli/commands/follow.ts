import type { Command } from 'commander';
import { LifecycleClient } from '../../client/lifecycleClient.js';
import { exitCodeOf, type FollowChange } from '../../client/followWorkflow.js';
import { workerEnvironment } from '../childProgram.js';
import type { Context } from '../program.js';

/** Exit code of a program that was interrupted. */
const INTERRUPTED = 130;

/** follow: attaches to a workflow and tells what it does. */
export function addFollowCommand(program: Command, context: () => Context): void {
  program
    .command('follow')
    .description('follow a workflow to its end; exit code 3 where a rollout does not promote, 1 where it fails')
    .argument('<id>', 'workflow id: PROJECT/retrain/MODEL/… or PROJECT/lifecycle/MODEL')
    .addHelpText(
      'after',
      '\nExample:\n  tidemill follow fraud-demo/retrain/fraud/drift-1\n\nCtrl-C ends the following; the workflow goes on.',
    )
    .action(async (workflowId: string) => {
      const { home, format, console, exit } = context();
      const env = await workerEnvironment(home, {});
      const client = await LifecycleClient.connect({
        address: env['TIDEMILL_TEMPORAL'] ?? '127.0.0.1:7233',
        namespace: env['TIDEMILL_TEMPORAL_NAMESPACE'] ?? 'default',
        project: env['TIDEMILL_PROJECT_ID'] ?? '',
      });
      const interrupted = new AbortController();
      const interrupt = (): void => {
        interrupted.abort();
      };
      process.once('SIGINT', interrupt);
      try {
        for await (const change of client.follow(workflowId, { signal: interrupted.signal })) {
          if (format !== 'table') console.out(JSON.stringify(change));
          else if (isPassing(change)) console.show?.(passingText(change));
          else console.out(textOf(change));
          if (change.kind === 'failed') exit(1);
          if (change.kind === 'result') exit(exitCodeOf(change.result));
        }
        console.show?.('');
        if (!interrupted.signal.aborted) return;
        exit(INTERRUPTED);
        console.error(`${workflowId} goes on; follow it again with the same command`);
      } finally {
        process.off('SIGINT', interrupt);
        await client.close();
      }
    });
}

type Passing = Extract<FollowChange, { kind: 'phase' | 'waiting' }>;

/** What is true for a while only, and stands in one line where there is a terminal. */
function isPassing(change: FollowChange): change is Passing {
  return change.kind === 'phase' || change.kind === 'waiting';
}

function passingText(change: Passing): string {
  return change.kind === 'phase' ? `${change.phase} …` : `waiting: ${change.reason}`;
}

function textOf(change: Exclude<FollowChange, Passing>): string {
  switch (change.kind) {
    case 'step':
      return `${change.step}: ${change.result}`;
    case 'case':
      return `case ${change.case.id}: ${change.case.state}${change.case.note === '' ? '' : ` (${change.case.note})`}`;
    case 'rollout':
      return change.workflowId === null ? 'rollout: none' : `rollout: ${change.workflowId}`;
    case 'result':
      return resultText(change.result);
    case 'failed':
      return `${change.status}: ${change.message}`;
  }
}

function resultText(result: unknown): string {
  const { outcome, version, epoch, reason, to } = (
    typeof result === 'object' && result !== null ? result : {}
  ) as Record<string, unknown>;
  switch (outcome) {
    case 'promoted':
      return `promoted version ${String(version)} in epoch ${String(epoch)}`;
    case 'notPromoted':
      return `not promoted: ${String(reason)}`;
    case 'rolledBack':
      return `rolled back to version ${String(to)}${typeof reason === 'string' ? `: ${reason}` : ''}`;
    case 'refused':
      return `refused: ${String(reason)}`;
    default:
      return `done: ${JSON.stringify(result)}`;
  }
}
