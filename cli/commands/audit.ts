import type { Command } from 'commander';
import { exitCodeOf } from '../../client/followWorkflow.js';
import { MAX_AUDIT_SAMPLE } from '../../contracts/consistency.js';
import { integerBetween, matching } from '../arguments.js';
import { connectionOf, withClient } from '../connectClient.js';
import { auditText, waitingText } from '../followChanges.js';
import type { Context } from '../program.js';

interface AuditOptions {
  readonly projectId?: string;
  readonly from?: string;
  readonly to?: string;
  readonly sample?: number;
}

const isTime = matching(/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z)?$/, '2024-03-01 or 2024-03-01T00:00:00Z');

/** A date is its first moment. */
function momentFrom(text: string): string {
  const time = isTime(text);
  return time.includes('T') ? time : `${time}T00:00:00Z`;
}

/** audit: what was served against what the features say. */
export function addAuditCommand(program: Command, context: () => Context): void {
  program
    .command('audit')
    .description(
      'recompute a sample of the served vectors, within their cuts and in event time; exit code 3 where they are not consistent',
    )
    .argument('<model>', 'name of the model')
    .option('--from <time>', 'requests from this event time on (default: a day before the end)', momentFrom)
    .option('--to <time>', 'requests before it (default, and at most: up to where event time is final)', momentFrom)
    .option('--sample <n>', 'vectors to recompute (default: 2000)', integerBetween(1, MAX_AUDIT_SAMPLE))
    .option('--project-id <id>', 'project of the model (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill audit fraud --from 2024-03-01T00:00:00Z --to 2024-03-02T00:00:00Z')
    .action(async (model: string, options: AuditOptions) => {
      const { home, format, console, exit } = context();
      const { projectId: _, ...request } = options;
      await withClient(await connectionOf(home, options), async (client) => {
        const workflowId = await client.startAudit(model, request);
        console.error(workflowId);
        if (format === 'table') {
          for await (const change of client.watch({ workflowId })) {
            if (change.kind === 'step') console.out(`${change.step}: ${change.result}`);
            else if (change.kind === 'waiting') console.error(waitingText(change));
            else if (change.kind === 'phase') console.show?.(`${change.phase} …`);
          }
          console.show?.('');
        }
        const result = await client.auditResult(workflowId);
        console.out(format === 'table' ? auditText(result) : JSON.stringify({ workflowId, ...result }));
        exit(exitCodeOf(result));
      });
    });
}
