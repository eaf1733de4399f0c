import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';

/** generate fraud: data to try things on, from the example's generator. */
export function addGenerateCommands(program: Command): void {
  program
    .command('generate')
    .description('generate data to try things on')
    .command('fraud')
    .description('card transactions and fraud labels as JSON lines, labels merged by time')
    .option('--days <n>', 'days from 2018-04-01', '30')
    .option('--seed <n>', 'equal seeds give equal data', '1')
    .option('--drift <pattern>', 'new-pattern@DAY: a fraud pattern that starts on that day')
    .option('--output <file>', 'file, or - for standard output', '-')
    .action(async (options: { days: string; seed: string; drift?: string; output: string }) => {
      const generator = fileURLToPath(new URL('../../examples/fraud/generator/main.js', import.meta.url));
      const args = ['--days', options.days, '--seed', options.seed, '--output', options.output];
      if (options.drift !== undefined) args.push('--drift', options.drift);
      const child = spawn(process.execPath, [generator, ...args], { stdio: 'inherit' });
      process.exitCode = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)));
    });
}
