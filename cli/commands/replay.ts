import { Option, type Command } from 'commander';
import type { ReplayProgress, ReplayReport } from '../../contracts/replayReport.js';
import { formatDuration } from '../../contracts/duration.js';
import { matching } from '../arguments.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { formatTable } from '../output.js';
import type { Context } from '../program.js';

interface ReplayOptions {
  readonly model?: string;
  readonly project?: string;
  readonly projectId?: string;
  readonly from?: string;
  readonly switch: boolean;
  readonly drop: boolean;
}

/** replay: the history of a topology through the code that runs it live. */
export function addReplayCommand(program: Command, context: () => Context): void {
  program
    .command('replay')
    .description('run a topology over its history, beside the generation that runs, and compare what both told')
    .argument('<topology>', 'score or window.NAME')
    .option('--model <name>', 'model of the project; windows need none')
    .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
    .option('--project-id <id>', 'scopes every topic and group (default: TIDEMILL_PROJECT_ID)')
    .option(
      '--from <time>',
      'tell only what follows from records of that log time on; what lies before builds state (default: all)',
      matching(/^\d{4}-\d{2}-\d{2}\S*$/, '2026-01-31T12:00:00Z'),
    )
    .option('--switch', 'when it has caught up with the stopped workers, make it the generation that they run', false)
    .addOption(new Option('--drop', 'do away with the replay and all that it told').default(false).conflicts('switch'))
    .addHelpText('after', '\nExample:\n  tidemill replay window.spend-per-customer --switch')
    .action(async (topology: string, options: ReplayOptions) => {
      const { home, format, console } = context();
      const args = ['--topology', topology];
      if (options.model !== undefined) args.push('--model', options.model);
      if (options.from !== undefined) args.push('--from', options.from);
      if (options.switch) args.push('--switch');
      if (options.drop) args.push('--drop');
      const report = (await readProgram(
        { file: 'workers/replay.js', args, env: await workerEnvironment(home, options) },
        (progress) =>
          console.error(format === 'table' ? formatProgress(progress as ReplayProgress) : JSON.stringify({ progress })),
      )) as ReplayReport;
      console.out(
        format === 'table' ? formatReport(report, [...args, ...projectArgs(options)]) : JSON.stringify(report),
      );
    });
}

/** What the next command needs again, as it was given to this one. */
function projectArgs({ project, projectId }: ReplayOptions): string[] {
  return [
    ...(project === undefined ? [] : ['--project', project]),
    ...(projectId === undefined ? [] : ['--project-id', projectId]),
  ];
}

/** `120000 records, 2026-01-31T12:00:00.000Z, 20000/s, 34000 offsets behind, 2s left` */
export function formatProgress({ records, eventTime, rate, behind, leftMs }: ReplayProgress): string {
  return [
    `${records} records`,
    ...(eventTime === null ? [] : [new Date(eventTime).toISOString()]),
    `${rate}/s`,
    `${behind} offsets behind`,
    ...(leftMs === null ? [] : [`${formatDuration(Math.ceil(leftMs / 1_000) * 1_000)} left`]),
  ].join(', ');
}

function formatReport({ topology, generation, progress, comparisons, state }: ReplayReport, args: string[]): string {
  if (state === 'dropped') return `${topology}: nothing is left of the replay`;
  const told = comparisons.map(({ topic, equal, different, onlyReplayed, onlyRunning }) =>
    [topic, equal, different, onlyReplayed, onlyRunning].map(String),
  );
  const samples = comparisons.flatMap((each) =>
    each.samples.map(({ subject, replayed, running }) => [subject, replayed ?? '-', running ?? '-']),
  );
  const again = `tidemill replay ${args
    .slice(1)
    .filter((arg) => arg !== '--switch')
    .join(' ')}`;
  return [
    `${topology}: generation ${generation.replayed} beside ${generation.running}; ${formatProgress(progress)}`,
    '',
    formatTable(['output', 'equal', 'different', 'only replayed', 'only running'], told),
    ...(samples.length === 0 ? [] : ['', formatTable(['what', 'replayed', 'running'], samples)]),
    '',
    state === 'switched'
      ? `generation ${generation.replayed} is the running one: start the workers`
      : `to switch to it, stop the workers and run: ${again} --switch\nto drop it: ${again} --drop`,
  ].join('\n');
}
