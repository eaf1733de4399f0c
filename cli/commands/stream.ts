import type { Command } from 'commander';
import type { TopologyProgress } from '../../contracts/topologyProgress.js';
import { readProgram, runProgram, workerEnvironment } from '../childProgram.js';
import { formatRows } from '../output.js';
import type { Context } from '../program.js';

interface WorkerOptions {
  readonly model: string;
  readonly project?: string;
  readonly projectId?: string;
  readonly instance?: string;
  readonly initialise?: string;
}

/** stream run, stream status: topologies in processes of their own. */
export function addStreamCommands(program: Command, context: () => Context): void {
  const stream = program.command('stream').description('topologies on the stream');
  const common = (command: Command): Command =>
    command
      .requiredOption('--model <name>', 'model of the project')
      .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
      .option('--project-id <id>', 'scopes every topic and group (default: TIDEMILL_PROJECT_ID)');
  common(
    stream
      .command('run')
      .description('run topologies of a model in one worker, until SIGTERM')
      .argument('<topologies>', 'score, archive, outcome, monitor, relay; comma-separated'),
  )
    .option('--instance <name>', 'name of this worker; a restart under the same name takes over its tasks at once')
    .option('--initialise <where>', 'set the offsets of a new group to `start` or `end` of its topics and leave')
    .addHelpText('after', '\nExample:\n  tidemill stream run score --model fraud --instance worker-1')
    .action(async (topologies: string, options: WorkerOptions) => {
      const { home, exit } = context();
      const args = ['--topologies', topologies, '--model', options.model];
      if (options.instance !== undefined) args.push('--instance', options.instance);
      if (options.initialise !== undefined) args.push('--initialise', options.initialise);
      const env = await workerEnvironment(home, options);
      exit(await runProgram({ file: 'workers/stream.js', args, env }, { logsTo: 'stderr' }));
    });
  common(
    stream
      .command('status')
      .description('how far topologies have come in their topics')
      .argument('[topologies]', 'comma-separated', 'score,archive,outcome,monitor,relay'),
  )
    .addHelpText('after', '\nExample:\n  tidemill stream status score --model fraud --json')
    .action(async (topologies: string, options: WorkerOptions) => {
      const { home, format, console } = context();
      const rows = (await readProgram({
        file: 'workers/streamStatus.js',
        args: ['--topologies', topologies, '--model', options.model],
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
          },
          format,
        ),
      );
    });
}
