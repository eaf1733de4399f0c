import type { Command } from 'commander';
import { runProgram, workerEnvironment } from '../childProgram.js';
import type { Context } from '../program.js';

interface WorkerOptions {
  readonly project?: string;
  readonly projectId?: string;
  readonly metricsPort?: string;
}

/** worker: the process that carries out what people, schedules and drift ask of models. */
export function addWorkerCommand(program: Command, context: () => Context): void {
  program
    .command('worker')
    .description('run the lifecycle worker of a project until SIGTERM: rollouts, rollbacks, audits, healing, backfills')
    .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
    .option('--project-id <id>', 'scopes its task queue, topics and rows (default: TIDEMILL_PROJECT_ID)')
    .option('--metrics-port <port>', 'port for metrics and health; 0 takes any free one (default), off opens none')
    .addHelpText('after', '\nExample:\n  tidemill worker --project dist/project.js --project-id shop')
    .action(async (options: WorkerOptions) => {
      const { home, exit } = context();
      const { metricsPort } = options;
      const env = {
        ...(await workerEnvironment(home, options)),
        ...(metricsPort === undefined ? {} : { TIDEMILL_METRICS_PORT: metricsPort }),
      };
      exit(await runProgram({ file: 'workers/lifecycle.js', args: [], env }, { logsTo: 'stderr' }));
    });
}
