import { mkdir } from 'node:fs/promises';
import type { Command } from 'commander';
import { Listr } from 'listr2';
import { codedError } from '../../contracts/codedError.js';
import { diagnose } from '../../infra/doctor.js';
import {
  DEFAULT_PORTS,
  down,
  SERVICES,
  status,
  upService,
  type RuntimeOptions,
  type ServiceName,
  type ServiceState,
} from '../../infra/runtime.js';
import { integerBetween } from '../arguments.js';
import { formatError, formatRows } from '../output.js';
import type { Context } from '../program.js';

type Ports = Required<Pick<RuntimeOptions, 'kafkaPort' | 'temporalPort' | 'temporalUiPort' | 'redisPort'>>;

/** up, down, status, doctor. */
export function addRuntimeCommands(program: Command, context: () => Context): void {
  const port = integerBetween(1, 65_535);
  program
    .command('up')
    .description('start Kafka, Temporal and Redis on this machine')
    .option('--kafka-port <port>', 'port of the broker', port, DEFAULT_PORTS.kafka)
    .option('--temporal-port <port>', 'port of the Temporal frontend', port, DEFAULT_PORTS.temporal)
    .option('--temporal-ui-port <port>', 'port of the Temporal UI', port, DEFAULT_PORTS.temporalUi)
    .option('--redis-port <port>', 'port of Redis', port, DEFAULT_PORTS.redis)
    .addHelpText('after', '\nExample:\n  tidemill up --kafka-port 19092')
    .action(async (ports: Ports) => {
      const given = context();
      await upWithProgress(given, { home: given.home, ...ports });
      printStates(await status(given.home), given);
    });
  program
    .command('down')
    .description('stop what `up` started; data stays')
    .option('--purge', 'remove the data, too', false)
    .addHelpText('after', '\nExample:\n  tidemill down --purge')
    .action(async ({ purge }: { purge: boolean }) => {
      const { home, format, console } = context();
      const stopped = await down(home, { purge });
      if (format !== 'table') console.out(JSON.stringify({ stopped }));
      else console.out(stopped.length === 0 ? 'nothing was running' : `stopped ${stopped.join(' and ')}`);
    });
  program
    .command('status')
    .description('what runs, and where')
    .addHelpText('after', '\nExample:\n  tidemill status --json')
    .action(async () => {
      const given = context();
      printStates(await status(given.home), given);
    });
  program
    .command('doctor')
    .description('check what this machine has; exit code 5 where something is missing')
    .addHelpText('after', '\nExample:\n  tidemill doctor')
    .action(async () => {
      const { home, format, console, exit } = context();
      const checks = await diagnose(home);
      console.out(
        formatRows(
          checks,
          { '': ({ ok }) => (ok ? 'ok' : 'no'), check: ({ name }) => name, found: ({ found }) => found },
          format,
        ),
      );
      if (checks.some(({ ok }) => !ok)) exit(5);
    });
}

/**
 * Starts the servers side by side: on a terminal with a line for each that says what it is doing, else with plain lines,
 * and for programs silently. Every failure is shown; the last is thrown once all are settled.
 */
async function upWithProgress({ format, console }: Context, options: RuntimeOptions): Promise<void> {
  // One error where there can be no folder, not one of each server.
  await mkdir(options.home, { recursive: true });
  const failures: unknown[] = [];
  const start = async (service: ServiceName, progress: (text: string) => void): Promise<boolean> => {
    try {
      await upService(service, { ...options, progress: (_, text) => progress(text) });
      return true;
    } catch (error) {
      failures.push(error);
      return false;
    }
  };
  if (format === 'table' && process.stdout.isTTY) {
    const tasks = SERVICES.map((service) => ({
      title: service,
      task: async (_: unknown, task: { output: string }) => {
        if (!(await start(service, (text) => (task.output = text)))) throw new Error(`${service} did not start`);
      },
    }));
    const rendererOptions = { showErrorMessage: false };
    await new Listr(tasks, { concurrent: true, exitOnError: false, rendererOptions }).run();
  } else {
    await Promise.all(
      SERVICES.map((service) =>
        start(service, (text) => (format === 'table' ? console.error(`${service}: ${text}`) : undefined)),
      ),
    );
  }
  for (const failure of failures.slice(0, -1)) console.error(formatError(codedError(failure), format));
  if (failures.length > 0) throw failures.at(-1);
}

function printStates(states: readonly ServiceState[], { format, console }: Context): void {
  console.out(
    formatRows(
      states,
      {
        service: ({ service }) => service,
        state: (state) => (state.state === 'stopped' || state.reachable ? state.state : `${state.state}, silent`),
        address: (state) => (state.state === 'stopped' ? (state.instead ?? '') : state.address),
        pid: (state) => (state.state === 'running' ? String(state.pid) : ''),
        ui: (state) => (state.state === 'running' ? (state.uiUrl ?? '') : ''),
      },
      format,
    ),
  );
}
