import { Option, type Command } from 'commander';
import { TidemillError } from '../../contracts/errors.js';
import type { TopologyGraph } from '../../contracts/topologyGraph.js';
import type { TopologyProgress } from '../../contracts/topologyProgress.js';
import type { TopologyReset } from '../../contracts/topologyReset.js';
import { matching } from '../arguments.js';
import { readProgram, runProgram, workerEnvironment } from '../childProgram.js';
import { formatRows } from '../output.js';
import { dotOf, textOf } from '../topologyText.js';
import type { Context } from '../program.js';

interface WorkerOptions {
  readonly model?: string;
  readonly project?: string;
  readonly projectId?: string;
  readonly instance?: string;
  readonly initialise?: string;
  readonly metricsPort?: string;
  readonly processing?: string;
}

interface ResetOptions extends WorkerOptions {
  readonly to: string;
  readonly yes: boolean;
}

/** stream run, stream status, stream reset, stream describe: topologies in processes of their own. */
export function addStreamCommands(program: Command, context: () => Context): void {
  const stream = program.command('stream').description('topologies on the stream');
  const common = (command: Command): Command =>
    command
      .option('--model <name>', 'model of the project; windows need none')
      .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
      .option('--project-id <id>', 'scopes every topic and group (default: TIDEMILL_PROJECT_ID)');
  common(
    stream
      .command('run')
      .description('run topologies of a model in one worker, until SIGTERM')
      .argument('<topologies>', 'score, archive, outcome, monitor, relay, materialize, window.NAME; comma-separated'),
  )
    .option('--instance <name>', 'name of this worker; a restart under the same name takes over its tasks at once')
    .option('--metrics-port <port>', 'port for metrics and health; 0 takes any free one (default), off opens none')
    .option('--initialise <where>', 'set the offsets of a new group to `start` or `end` of its topics and leave')
    .addOption(
      new Option(
        '--processing <guarantee>',
        'exactly-once; or at-least-once, which answers within milliseconds and may repeat answers after a failure (never the archive)',
      ).choices(['exactly-once', 'at-least-once']),
    )
    .addHelpText('after', '\nExample:\n  tidemill stream run score --model fraud --instance worker-1')
    .action(async (topologies: string, options: WorkerOptions) => {
      const { home, exit } = context();
      const args = [`--topologies=${topologies}`, ...modelArgs(topologies, options)];
      if (options.instance !== undefined) args.push(`--instance=${options.instance}`);
      if (options.metricsPort !== undefined) args.push(`--metrics-port=${options.metricsPort}`);
      if (options.initialise !== undefined) args.push(`--initialise=${options.initialise}`);
      if (options.processing !== undefined) args.push(`--processing=${options.processing}`);
      const env = await workerEnvironment(home, options);
      exit(await runProgram({ file: 'workers/stream.js', args, env }, { logsTo: 'stderr' }));
    });
  common(
    stream
      .command('status')
      .description('how far topologies have come in their topics, who runs them, and what their tasks are doing')
      .argument('[topologies]', 'comma-separated', 'score,archive,outcome,monitor,relay'),
  )
    .addHelpText('after', '\nExample:\n  tidemill stream status score --model fraud --json')
    .action(async (topologies: string, options: WorkerOptions) => {
      const { home, format, console } = context();
      const rows = (await readProgram({
        file: 'workers/streamStatus.js',
        args: [`--topologies=${topologies}`, ...modelArgs(topologies, options)],
        env: await workerEnvironment(home, options),
      })) as TopologyProgress[];
      const number = (value: number | null): string => (value === null ? '-' : String(value));
      console.out(
        formatRows(
          rows,
          {
            topology: ({ topology }) => topology,
            generation: ({ generation }) => String(generation),
            topic: ({ topic }) => topic,
            partition: ({ partition }) => String(partition),
            committed: ({ committed }) => number(committed),
            end: ({ end }) => String(end),
            lag: ({ lag }) => number(lag),
            task: ({ task }) => task,
            owner: ({ owner }) => owner ?? '-',
            state: ({ state, restored }) =>
              state === 'recovering' && restored !== null ? `${state} ${Math.floor(restored * 100)} %` : state,
            'watermark delay': ({ watermarkDelayMs }) =>
              watermarkDelayMs === null ? '-' : `${(watermarkDelayMs / 1_000).toFixed(1)} s`,
          },
          format,
        ),
      );
      if (format === 'table') for (const note of notesOf(rows)) console.out(note);
    });
  common(
    stream
      .command('reset')
      .description('start a new generation of a topology: its state is rebuilt from the log, its group starts anew')
      .argument('<topology>', 'score, archive, outcome, monitor, relay or window.NAME'),
  )
    .option(
      '--to <where>',
      'where it goes on: committed (where it had got to), earliest, latest, or the append time of a record',
      matching(/^(committed|earliest|latest|\d{4}-\d{2}-\d{2}\S*)$/, 'earliest or 2026-01-31T12:00:00Z'),
      'committed',
    )
    .option('--yes', 'do not ask', false)
    .addHelpText('after', '\nExample:\n  tidemill stream reset score --model fraud --to latest --yes')
    .action(async (topology: string, options: ResetOptions) => {
      const given = context();
      const { home, format, console } = given;
      const env = await workerEnvironment(home, options);
      const args = [`--topology=${topology}`, ...modelArgs(topology, options), `--to=${options.to}`];
      const reset = async (...more: string[]): Promise<TopologyReset> =>
        (await readProgram({ file: 'workers/streamReset.js', args: [...args, ...more], env })) as TopologyReset;
      if (!options.yes) {
        if (console.ask === undefined || format !== 'table')
          throw new TidemillError('USAGE_INVALID', 'stream reset asks before it changes anything: pass --yes', {
            topology,
          });
        console.error(formatReset(await reset('--plan')));
        const answer = await console.ask('Reset? [y/N] ');
        if (!/^y(es)?$/i.test(answer.trim())) {
          console.error('nothing was changed');
          given.exit(1);
          return;
        }
      }
      const done = await reset();
      console.out(format === 'table' ? formatReset(done) : JSON.stringify(done));
    });
  common(
    stream
      .command('describe')
      .description(
        'what topologies consist of: sources, stages, what they keep, internal topics, outputs; needs no broker',
      )
      .argument('[topologies]', 'comma-separated; default: all of the project and of the model'),
  )
    .option('--dot', 'as a graph for Graphviz', false)
    .addHelpText('after', '\nExample:\n  tidemill stream describe score --model fraud --dot | dot -Tsvg > score.svg')
    .action(async (topologies: string | undefined, options: WorkerOptions & { readonly dot: boolean }) => {
      const { home, format, console } = context();
      const graphs = (await readProgram({
        file: 'workers/streamDescribe.js',
        args: [
          ...(topologies === undefined ? [] : [`--topologies=${topologies}`]),
          ...modelArgs(topologies ?? 'window.', options),
        ],
        env: await workerEnvironment(home, options),
      })) as TopologyGraph[];
      if (options.dot) console.out(graphs.map(dotOf).join('\n'));
      else console.out(format === 'table' ? graphs.map(textOf).join('\n\n') : JSON.stringify(graphs));
    });
}

function modelArgs(topologies: string, { model }: WorkerOptions): string[] {
  if (model !== undefined) return [`--model=${model}`];
  if (topologies.split(',').every((name) => name.startsWith('window.'))) return [];
  throw new TidemillError('USAGE_INVALID', "required option '--model <name>' not specified: only windows need none", {
    topologies,
  });
}

/** What a reset does or did: its generations, then a line per partition, then what is left behind. */
function formatReset({ topology, generation, offsets, leftBehind, applied }: TopologyReset): string {
  const rows = formatRows(
    offsets,
    {
      topic: ({ topic }) => topic,
      partition: ({ partition }) => String(partition),
      committed: ({ committed }) => (committed === null ? '-' : String(committed)),
      start: ({ start }) => String(start),
      end: ({ end }) => String(end),
      effect: ({ committed, low, start }) => effectOf(committed, low, start),
    },
    'table',
  );
  const left = leftBehind.map(
    ({ topic, records }) => `${records} records of ${topic} have not been processed and stay behind`,
  );
  const verb = applied ? 'was reset' : 'would be reset';
  return [`${topology} ${verb}: generation ${generation.from} to ${generation.to}`, rows, ...left].join('\n');
}

/** In words, what becomes of the records between both offsets; transaction markers count as records here. */
function effectOf(committed: number | null, low: number, start: number): string {
  if (committed === null) return '';
  if (start < committed) return `${committed - start} processed again`;
  if (start === committed) return 'goes on';
  const lost = Math.min(start, Math.max(committed, low)) - committed;
  const skipped = start - committed - lost;
  return [lost > 0 ? `${lost} lost to retention` : '', skipped > 0 ? `${skipped} skipped` : '']
    .filter((text) => text !== '')
    .join(', ');
}

/** What tasks say of themselves, once for each, whatever the number of their inputs. */
function notesOf(rows: readonly TopologyProgress[]): string[] {
  const notes = rows.flatMap(({ topology, task, notes: own }) => own.map((note) => `${topology} ${task}: ${note}`));
  return [...new Set(notes)];
}
