import type { Command } from 'commander';
import type { ApplyReport, ScheduleChange, ScheduleText } from '../../contracts/schedules.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { formatRows } from '../output.js';
import type { Context } from '../program.js';

interface ProjectOptions {
  readonly project?: string;
  readonly projectId?: string;
}

interface ApplyOptions extends ProjectOptions {
  readonly dryRun: boolean;
}

/** apply: what a project declares, set up on the servers. */
export function addProjectCommands(program: Command, context: () => Context): void {
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
