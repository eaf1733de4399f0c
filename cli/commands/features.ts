import type { Command } from 'commander';
import type { OnlineFeatures } from '../../contracts/onlineFeatures.js';
import { integerBetween, matching } from '../arguments.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { connectionOf, withClient } from '../connectClient.js';
import { followChanges } from '../followChanges.js';
import { formatTable } from '../output.js';
import type { Context } from '../program.js';
import { addHealCommand } from './heal.js';

interface ProjectOptions {
  readonly project?: string;
  readonly projectId?: string;
}

interface BackfillOptions {
  readonly projectId?: string;
  readonly from: string;
  readonly to: string;
  readonly shares?: number;
  readonly slice?: string;
  readonly follow: boolean;
}

/** features get, features rebuild, features heal: the online store; features backfill: the offline one. */
export function addFeatureCommands(program: Command, context: () => Context): void {
  const features = program.command('features').description('features in the online store');
  const common = (command: Command): Command =>
    command
      .argument('<view>', 'view of the project')
      .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
      .option('--project-id <id>', 'scopes every entry (default: TIDEMILL_PROJECT_ID)');
  common(features.command('get').description('features of one key, computed for a time from what is stored'))
    .argument('<key>', 'value of the entity')
    .option(
      '--at <time>',
      'event time that they are of: ISO 8601, or ms since 1970 (default: now)',
      matching(/^(\d+|\d{4}-\d{2}-\d{2}\S*)$/, '2026-01-31T12:00:00Z'),
    )
    .addHelpText('after', '\nExample:\n  tidemill features get customer_spending 4711 --at 2026-01-31T12:00:00Z')
    .action(async (view: string, key: string, options: ProjectOptions & { readonly at?: string }) => {
      const { home, format, console } = context();
      const found = (await readProgram({
        file: 'workers/featuresGet.js',
        args: [`--view=${view}`, `--key=${key}`, ...(options.at === undefined ? [] : [`--at=${options.at}`])],
        env: await workerEnvironment(home, options),
      })) as OnlineFeatures;
      console.out(format === 'table' ? describe(found) : JSON.stringify(found));
    });
  features
    .command('backfill')
    .description('compute the history of a view from the archive, to Parquet in the object store')
    .argument('<view>', 'view of the project')
    .requiredOption('--from <time>', 'event time of the first row: ISO 8601')
    .requiredOption('--to <time>', 'event time after the last row: ISO 8601')
    .option('--shares <number>', 'parts that the entities are spread over (default: 4)', integerBetween(1, 256))
    .option('--slice <duration>', 'time covered by one part (default: the whole range)')
    .option('--no-follow', 'do not tell what it does until it ends')
    .option('--project-id <id>', 'project of the view (default: TIDEMILL_PROJECT_ID)')
    .addHelpText(
      'after',
      '\nExample:\n  tidemill features backfill customer_spending --from 2018-04-01 --to 2018-08-01 --slice 30d',
    )
    .action(async (view: string, { from, to, shares, slice, follow, ...options }: BackfillOptions) => {
      const given = context();
      const input = {
        view,
        from,
        to,
        ...(shares === undefined ? {} : { shares }),
        ...(slice === undefined ? {} : { slice }),
      };
      await withClient(await connectionOf(given.home, options), async (client) => {
        const workflowId = await client.startBackfill(input);
        if (follow) {
          given.console.error(workflowId);
          await followChanges(client, workflowId, given);
          return;
        }
        const text = `${workflowId} has begun; follow it with: tidemill follow ${workflowId}`;
        given.console.out(given.format === 'table' ? text : JSON.stringify({ workflowId }));
      });
    });
  addHealCommand(features, context);
  common(
    features
      .command('rebuild')
      .description('issue a new generation of a view: workers that start from now on build it from the log'),
  )
    .addHelpText('after', '\nExample:\n  tidemill features rebuild customer_spending')
    .action(async (view: string, options: ProjectOptions) => {
      const { home, format, console } = context();
      const env = await workerEnvironment(home, options);
      const issued = (await readProgram({ file: 'workers/featuresRebuild.js', args: [`--view=${view}`], env })) as {
        readonly view: string;
        readonly generation: number;
      };
      if (format !== 'table') console.out(JSON.stringify(issued));
      else
        console.out(
          `${issued.view}: generation ${issued.generation} is issued. Start a worker with \`tidemill stream run materialize\`: it builds\n` +
            'it beside the one that serves and switches when it has caught up.',
        );
    });
}

/** What was found for people: the values, and above them how old and how sure they are. */
function describe({
  view,
  key,
  at,
  generation,
  freshness,
  confirmedAt,
  completeAt,
  newest,
  ageMs,
  features,
}: OnlineFeatures): string {
  const time = (ms: number | null): string => (ms === null ? 'never' : new Date(ms).toISOString());
  const head = formatTable(
    ['', ''],
    [
      ['view', `${view}, ${generation === null ? 'not served yet' : `generation ${generation}`}`],
      ['key', JSON.stringify(key)],
      ['at', time(at)],
      [
        'store',
        `${freshness}: confirmed ${time(confirmedAt)}, complete up to ${completeAt === null ? 'nobody knows when' : time(completeAt)}, newest event ${time(newest)}`,
      ],
      ['latest event', ageMs === null ? 'none that counts' : `${ageMs} ms before`],
    ],
  );
  const values = formatTable(
    ['feature', 'value', 'status'],
    features.map(({ name, value, status }) => [name, value === null ? '-' : String(value), status]),
  );
  return `${head.trimStart()}\n\n${values}`;
}
