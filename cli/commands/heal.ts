import type { Command } from 'commander';
import { TidemillError } from '../../contracts/errors.js';
import type { HealInput } from '../../contracts/healing.js';
import { connectionOf, withClient } from '../connectClient.js';
import { followChanges, resultText } from '../followChanges.js';
import type { Context } from '../program.js';

interface HealOptions {
  readonly projectId?: string;
  readonly from?: string;
  readonly to?: string;
  readonly plan: boolean;
  readonly yes: boolean;
}

/** features heal: events of a view's stream that the online store lacks. */
export function addHealCommand(features: Command, context: () => Context): void {
  features
    .command('heal')
    .description('insert events that the online store lacks, late ones say, by way of the topic of corrections')
    .argument('<view>', 'view of the project')
    .option('--from <time>', 'event time of the first event: ISO 8601 (default: all that the view keeps)')
    .option('--to <time>', 'event time after the last event: ISO 8601')
    .option('--plan', 'only say what is lacking', false)
    .option('--yes', 'do not ask', false)
    .option('--project-id <id>', 'project of the view (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill features heal customer_spending --plan')
    .action(async (view: string, { from, to, plan, yes, ...options }: HealOptions) => {
      const given = context();
      const { console, format } = given;
      const input: HealInput = {
        view,
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
        ...(plan ? { plan } : {}),
      };
      const mustAsk = !plan && !yes;
      if (mustAsk && (console.ask === undefined || format !== 'table'))
        throw new TidemillError('USAGE_INVALID', 'features heal asks before it changes anything: pass --yes', { view });
      await withClient(await connectionOf(given.home, options), async (client) => {
        if (mustAsk) {
          const planned = await client.healResult(await client.startHeal({ ...input, plan: true }));
          console.error(resultText(planned));
          if (planned.events === 0) return;
          const reply = (await console.ask?.(`Insert ${planned.events}? [y/N] `)) ?? '';
          if (!/^y(es)?$/i.test(reply.trim())) {
            console.error('nothing was changed');
            given.exit(1);
            return;
          }
        }
        const workflowId = await client.startHeal(input);
        console.error(workflowId);
        await followChanges(client, workflowId, given);
      });
    });
}
