import type { Command } from 'commander';
import type { ModelStatus, TidemillClient } from '../../client/tidemillClient.js';
import { integerBetween } from '../arguments.js';
import { connectionOf, userName, withClient } from '../connectClient.js';
import { followChanges, resultText, waitingText } from '../followChanges.js';
import { formatRows } from '../output.js';
import type { Context } from '../program.js';

interface Options {
  readonly projectId?: string;
  readonly as?: string;
}
interface RetrainOptions extends Options {
  readonly reason?: string;
  readonly supersede: boolean;
  readonly allowNoInstances: boolean;
  readonly follow: boolean;
}
interface RollbackOptions extends Options {
  readonly reason: string;
  readonly to?: number;
}

/** retrain, rollback, pause, resume, lifecycle: what people ask of a model's lifecycle. */
export function addRolloutCommands(program: Command, context: () => Context): void {
  const command = (name: string, description: string, asks: boolean): Command => {
    const made = program
      .command(name)
      .description(description)
      .argument('<model>', 'name of the model')
      .option('--project-id <id>', 'project of the model (default: TIDEMILL_PROJECT_ID)');
    return asks ? made.option('--as <name>', 'who asks (default: the user of this machine)') : made;
  };
  const connected = async (
    options: Options,
    act: (client: TidemillClient, given: Context) => Promise<void>,
  ): Promise<void> => {
    const given = context();
    await withClient(await connectionOf(given.home, options), (client) => act(client, given));
  };

  command('retrain', 'start a retrain, and with it a rollout', true)
    .option('--reason <text>', 'shown with the rollout, and kept')
    .option('--supersede', 'take the place of a rollout under way that has not committed', false)
    .option('--allow-no-instances', 'promote although no instance is live', false)
    .option('--follow', 'tell what it does until it ends; exit code 3 where it does not promote', false)
    .addHelpText('after', '\nExample:\n  tidemill retrain fraud --reason "new terminals" --follow')
    .action((model: string, options: RetrainOptions) =>
      connected(options, async (client, given) => {
        const { workflowId } = await client.requestRetrain(model, {
          requestedBy: options.as ?? userName(),
          supersede: options.supersede,
          allowNoInstances: options.allowNoInstances,
          ...(options.reason === undefined ? {} : { reason: options.reason }),
        });
        if (!options.follow) {
          const text = `${workflowId} has begun; follow it with: tidemill follow ${workflowId}`;
          given.console.out(given.format === 'table' ? text : JSON.stringify({ workflowId }));
          return;
        }
        given.console.error(workflowId);
        await followChanges(client, workflowId, given);
      }),
    );

  command('rollback', 'go back to a former champion at once; the version that is left is withdrawn', true)
    .requiredOption('--reason <text>', 'kept with the version that is left')
    .option(
      '--to <version>',
      'default: the newest former champion that may serve',
      integerBetween(1, Number.MAX_SAFE_INTEGER),
    )
    .addHelpText('after', '\nExample:\n  tidemill rollback fraud --reason "blocks good customers" --to 3')
    .action((model: string, options: RollbackOptions) =>
      connected(options, async (client, { format, console }) => {
        const workflowId = await client.startRollback(model, {
          reason: options.reason,
          requestedBy: options.as ?? userName(),
          ...(options.to === undefined ? {} : { to: options.to }),
        });
        console.error(workflowId);
        for await (const change of client.watch({ workflowId })) {
          if (change.kind === 'waiting') console.error(waitingText(change));
          if (change.kind === 'step' && format === 'table') console.out(`${change.step}: ${change.result}`);
        }
        const result = await client.rollbackResult(workflowId);
        console.out(format === 'table' ? resultText(result) : JSON.stringify({ workflowId, ...result }));
      }),
    );

  command('pause', 'from now on nothing starts by itself; people may still roll out', true)
    .requiredOption('--reason <text>', 'shown for as long as the pause lasts')
    .addHelpText('after', '\nExample:\n  tidemill pause fraud --reason "labels are being corrected"')
    .action((model: string, options: Options & { readonly reason: string }) =>
      connected(options, async (client, { format, console }) => {
        const paused = { by: options.as ?? userName(), reason: options.reason };
        await client.pause(model, paused);
        console.out(format === 'table' ? `${model} is paused` : JSON.stringify({ model, paused }));
      }),
    );

  command('resume', 'end a pause', true)
    .addHelpText('after', '\nExample:\n  tidemill resume fraud')
    .action((model: string, options: Options) =>
      connected(options, async (client, { format, console }) => {
        await client.resume(model, { by: options.as ?? userName() });
        console.out(format === 'table' ? `${model} is not paused` : JSON.stringify({ model, paused: null }));
      }),
    );

  command('lifecycle', 'drift cases of a model, who rolls it out, who waits, and whether it is paused', false)
    .addHelpText('after', '\nExample:\n  tidemill lifecycle fraud')
    .action((model: string, options: Options) =>
      connected(options, async (client, { format, console }) => {
        const status = await client.status(model);
        console.out(format === 'table' ? describe(status) : JSON.stringify(status));
      }),
    );
}

function describe({ model, cases, rollout, queued, paused, retrain, rollbacks = [] }: ModelStatus): string {
  const facts: [string, string][] = [
    ['rollout', rollout === null ? 'none' : `${rollout.workflowId}, ${rollout.trigger}`],
    ...(retrain === null ? [] : ([['phase', phaseText(retrain)]] satisfies [string, string][])),
    ['queued', queued?.workflowId ?? 'none'],
    ...(rollbacks.length === 0 ? [] : ([['rolling back', rollbacks.join(', ')]] satisfies [string, string][])),
    ['paused', paused === null || paused === undefined ? 'no' : `by ${paused.by}: ${paused.reason}`],
  ];
  const table = formatRows(
    cases,
    {
      case: ({ id }) => id,
      state: ({ state }) => state,
      version: ({ version }) => String(version),
      onset: ({ onset }) => new Date(onset).toISOString(),
      findings: ({ findings }) => String(findings),
      note: ({ note }) => note,
    },
    'table',
  );
  return [
    model,
    ...facts.map(([name, text]) => `  ${name.padEnd(9)}${text}`),
    '',
    `drift cases\n${cases.length === 0 ? 'none' : table}`,
  ].join('\n');
}

function phaseText({ phase, version, approval }: NonNullable<ModelStatus['retrain']>): string {
  const of = version === null ? '' : `, version ${version}`;
  const asked = approval === null || approval === undefined ? '' : ', waits for an approval';
  return `${phase}${of}${asked}`;
}
