import type { Command } from 'commander';
import { TidemillError } from '../../contracts/errors.js';
import type { CheckReport, ModelPlan } from '../../contracts/planReport.js';
import type { ApplyReport, ScheduleChange, ScheduleText } from '../../contracts/schedules.js';
import { numberBetween } from '../arguments.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { formatRows } from '../output.js';
import type { Context } from '../program.js';

interface ProjectOptions {
  readonly project?: string;
  readonly projectId?: string;
}

interface CheckOptions extends ProjectOptions {
  readonly requestsPerDay?: number;
  readonly positiveShare?: number;
}

interface ApplyOptions extends ProjectOptions {
  readonly dryRun: boolean;
}

/** check: are the definitions sound, and can their plans be kept? apply: what a project declares, set up on the servers. */
export function addProjectCommands(program: Command, context: () => Context): void {
  program
    .command('check')
    .description('check the definitions of a project, and how long a rollout of each model takes')
    .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
    .option('--project-id <id>', "scopes the registry (default: TIDEMILL_PROJECT_ID, else the project's own)")
    .option(
      '--requests-per-day <n>',
      "traffic to plan with (default: that of the newest version's dataset)",
      numberBetween(0, 1e12),
    )
    .option('--positive-share <share>', 'share of the requests whose label is positive', numberBetween(0, 1))
    .addHelpText(
      'after',
      '\nExample:\n  tidemill check --project dist/project.js --requests-per-day 9600 --positive-share 0.0066',
    )
    .action(async (options: CheckOptions) => {
      const { home, format, console } = context();
      const { requestsPerDay, positiveShare } = options;
      if ((requestsPerDay === undefined) !== (positiveShare === undefined)) {
        throw new TidemillError('USAGE_INVALID', '--requests-per-day and --positive-share go together');
      }
      const report = (await readProgram({
        file: 'workers/checkProject.js',
        args:
          requestsPerDay === undefined
            ? []
            : ['--requests-per-day', String(requestsPerDay), '--positive-share', String(positiveShare)],
        env: await workerEnvironment(home, options),
      })) as CheckReport;
      console.out(format === 'table' ? report.models.map(formatModelPlan).join('\n\n') : JSON.stringify(report));
      const problems = report.models.flatMap(({ model, problems: each }) => each.map((text) => `${model}: ${text}`));
      if (problems.length > 0) throw new TidemillError('PLAN_UNREACHABLE', problems.join('; '), { problems });
    });
  program
    .command('apply')
    .description('set up the schedules of a project on the Temporal server; shows the difference first')
    .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
    .option('--project-id <id>', "scopes the schedules (default: TIDEMILL_PROJECT_ID, else the project's own)")
    .option('--dry-run', 'only show the difference', false)
    .addHelpText('after', '\nExample:\n  tidemill apply --project dist/project.js --dry-run')
    .action(async (options: ApplyOptions) => {
      const { home, format, console } = context();
      const env = await workerEnvironment(home, options);
      const run = async (...args: string[]): Promise<ApplyReport> =>
        (await readProgram({ file: 'workers/applyProject.js', args, env })) as ApplyReport;
      if (format !== 'table') {
        console.out(JSON.stringify(await run(...(options.dryRun ? ['--plan'] : []))));
        return;
      }
      const plan = await run('--plan');
      console.out(formatPlan(plan));
      if (options.dryRun || !differs(plan)) return;
      const { schedules, searchAttributes } = await run();
      const done = schedules.filter(({ change }) => change !== 'unchanged').length;
      console.out(`\napplied: ${count(done, 'schedule')}, ${count(searchAttributes.length, 'search attribute')}`);
    });
}

function formatModelPlan({ model, traffic, phases, days }: ModelPlan): string {
  const known =
    traffic === null
      ? 'traffic unknown: delays alone are counted (--requests-per-day, --positive-share)'
      : `${traffic.requestsPerDay} requests a day, ${traffic.positiveShare} of them positive (${traffic.from})`;
  const dayText = (value: number | null): string => (value === null ? 'for ever' : `${value.toFixed(1)}d`);
  const table = formatRows(
    phases,
    {
      phase: ({ phase }) => phase,
      takes: (row) => dayText(row.days),
      'at most': ({ atMostDays }) => dayText(atMostDays),
      '': ({ days: needed, atMostDays }) => (needed === null || needed > atMostDays ? 'UNREACHABLE' : ''),
    },
    'table',
  );
  return [
    `${model}: ${known}`,
    phases.length === 0 ? 'a rollout waits for nothing' : `${table}\na rollout takes ${dayText(days)} or more`,
  ].join('\n');
}

function differs({ schedules, searchAttributes }: ApplyReport): boolean {
  return searchAttributes.length > 0 || schedules.some(({ change }) => change !== 'unchanged');
}

function formatPlan(plan: ApplyReport): string {
  const { project, schedules, searchAttributes } = plan;
  const said = (text: (schedule: ScheduleText) => string) => (row: ScheduleChange) => {
    const [before, after] = [row.before, row.after].map((each) => (each === null ? null : text(each)));
    return before === after || before === null || after === null ? (after ?? before ?? '') : `${before} -> ${after}`;
  };
  const table = formatRows(
    schedules,
    {
      change: ({ change }) => change,
      schedule: ({ id }) => id,
      times: said(({ times }) => times),
      overlap: said(({ overlap }) => overlap),
      'catch-up': said(({ catchUp }) => catchUp),
      state: ({ paused }) => (paused ? 'paused' : ''),
      'set back': ({ before }) => before?.otherwise.join(', ') ?? '',
    },
    'table',
  );
  return [
    schedules.length === 0 ? `project ${project} has no schedule` : table,
    ...(searchAttributes.length > 0 ? [`created   search attributes ${searchAttributes.join(', ')}`] : []),
    ...(differs(plan) ? [] : ['nothing differs']),
  ].join('\n');
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
