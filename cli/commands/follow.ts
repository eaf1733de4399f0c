import type { Command } from 'commander';
import { serverOf, withClient } from '../connectClient.js';
import { followChanges } from '../followChanges.js';
import type { Context } from '../program.js';

/** follow: attaches to a workflow and tells what it does. */
export function addFollowCommand(program: Command, context: () => Context): void {
  program
    .command('follow')
    .description(
      'follow any workflow to its end; exit code 3 where a rollout does not promote, and that of its error where it fails',
    )
    .argument('<id>', 'workflow id: PROJECT/retrain/MODEL/…, PROJECT/rollback/MODEL/…, PROJECT/lifecycle/MODEL')
    .addHelpText(
      'after',
      '\nExample:\n  tidemill follow fraud-demo/retrain/fraud/drift-1\n\nCtrl-C ends the following; the workflow goes on.',
    )
    .action(async (workflowId: string) => {
      const given = context();
      await withClient(await serverOf(given.home), (client) => followChanges(client, workflowId, given));
    });
}
