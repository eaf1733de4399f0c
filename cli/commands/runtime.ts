import type { Command } from 'commander';
import { Listr } from 'listr2';
import { diagnose } from '../../infra/doctor.js';
import {
  DEFAULT_PORTS,
  down,
  SERVICES,
  status,
  up,
  upService,
  type RuntimeOptions,
  type ServiceName,
  type ServiceState,
} from '../../infra/runtime.js';
import { formatTable } from '../output.js';

interface Global {
  readonly home: string;
  readonly json: boolean;
}

/** up, down, status, doctor. */
export function addRuntimeCommands(program: Command): void {
  const globals = (): Global => program.opts<Global>();
  program
    .command('up')
    .description('start Kafka and Temporal on this machine')
    .option('--kafka-port <port>', 'port of the broker', Number, DEFAULT_PORTS.kafka)
    .option('--temporal-port <port>', 'port of the Temporal frontend', Number, DEFAULT_PORTS.temporal)
    .option('--temporal-ui-port <port>', 'port of the Temporal UI', Number, DEFAULT_PORTS.temporalUi)
    .action(async (ports: { kafkaPort: number; temporalPort: number; temporalUiPort: number }) => {
      const { home, json } = globals();
      const states = json ? await up({ home, ...ports }) : await upWithProgress({ home, ...ports });
      printStates(states, json);
    });
  program
    .command('down')
    .description('stop what `up` started; data stays')
    .option('--purge', 'remove the data, too', false)
    .action(async ({ purge }: { purge: boolean }) => {
      const { home, json } = globals();
      const stopped = await down(home, { purge });
      if (json) console.log(JSON.stringify({ stopped }));
      else console.log(stopped.length === 0 ? 'nothing was running' : `stopped ${stopped.join(' and ')}`);
    });
  program
    .command('status')
    .description('what runs, and where')
    .action(async () => {
      const { home, json } = globals();
      printStates(await status(home), json);
    });
  program
    .command('doctor')
    .description('check what this machine has')
    .action(async () => {
      const { home, json } = globals();
      const checks = await diagnose(home);
      if (json) console.log(JSON.stringify(checks));
      else
        console.log(
          formatTable(
            ['', 'check', 'found'],
            checks.map(({ ok, name, found }) => [ok ? 'ok' : 'no', name, found]),
          ),
        );
      if (checks.some(({ ok }) => !ok)) process.exitCode = 5;
    });
}

/** A line per server that says what it is doing; the first failure is thrown once all are settled. */
async function upWithProgress(options: RuntimeOptions): Promise<ServiceState[]> {
  const failures: unknown[] = [];
  await new Listr(
    SERVICES.map((service) => ({
      title: service,
      task: async (_: unknown, task: { output: string }) => {
        const progress = (_service: ServiceName, text: string): void => {
          task.output = text;
        };
        await upService(service, { ...options, progress }).catch((error: unknown) => {
          failures.push(error);
          throw error;
        });
      },
    })),
    { concurrent: true, exitOnError: false, rendererOptions: { showErrorMessage: false }, fallbackRenderer: 'simple' },
  ).run();
  if (failures.length > 0) throw failures[0];
  return status(options.home);
}

function printStates(states: readonly ServiceState[], json: boolean): void {
  if (json) console.log(JSON.stringify(states));
  else {
    console.log(
      formatTable(
        ['service', 'state', 'address', 'pid', 'ui'],
        states.map((state) => [
          state.service,
          state.state,
          state.state === 'stopped' ? '' : state.address,
          state.state === 'running' ? String(state.pid) : '',
          state.state === 'running' ? (state.uiUrl ?? '') : '',
        ]),
      ),
    );
  }
}
