import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';

/** stream run: starts a worker as a process of its own and stays until it ends. */
export function addStreamCommands(program: Command): void {
  const stream = program.command('stream').description('topologies on the stream');
  stream
    .command('run')
    .description('run topologies of a model in one worker')
    .argument('<topologies>', 'score, archive, outcome, monitor, relay; comma-separated')
    .requiredOption('--model <name>', 'model of the project')
    .option('--instance <name>', 'name of this worker; a restart under the same name takes over its tasks at once')
    .option('--initialise <where>', 'set the offsets of a new group to `start` or `end` of its topics and leave')
    .action(async (topologies: string, options: { model: string; instance?: string; initialise?: string }) => {
      const args = ['--topologies', topologies, '--model', options.model];
      if (options.instance !== undefined) args.push('--instance', options.instance);
      if (options.initialise !== undefined) args.push('--initialise', options.initialise);
      const worker = fileURLToPath(new URL('../../workers/stream.js', import.meta.url));
      const child = spawn(process.execPath, [worker, ...args], { stdio: 'inherit' });
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
      process.exitCode = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)));
    });
}
