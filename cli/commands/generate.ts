import type { Command } from 'commander';
import { integerBetween, matching } from '../arguments.js';
import { runProgram } from '../childProgram.js';
import type { Context } from '../program.js';

interface GenerateOptions {
  readonly days: number;
  readonly seed: number;
  readonly drift?: string;
  readonly customers: number;
  readonly terminals: number;
  readonly output: string;
}

/** generate fraud: data to try things on, from the example's generator. */
export function addGenerateCommands(program: Command, context: () => Context): void {
  program
    .command('generate')
    .description('generate data to try things on')
    .command('fraud')
    .description('card transactions and fraud labels from 2018-04-01 on, as JSON lines merged by time')
    .option('--days <n>', 'number of days', integerBetween(1, 10_000), 30)
    .option('--seed <n>', 'equal seeds give equal data', integerBetween(0, 0xffff_ffff), 1)
    .option(
      '--drift <pattern>',
      'new-pattern@DAY: a fraud pattern that starts on that day, counted from 0',
      matching(/^new-pattern@\d+$/, 'new-pattern@68'),
    )
    .option('--customers <n>', 'number of customers', integerBetween(1, 1_000_000), 5_000)
    .option('--terminals <n>', 'number of terminals', integerBetween(1, 1_000_000), 10_000)
    .option('--output <folder>', 'folder for events.jsonl, or - for standard output', '-')
    .addHelpText(
      'after',
      '\nExample:\n  tidemill generate fraud --days 95 --seed 7 --drift new-pattern@68 --output data',
    )
    .action(async (options: GenerateOptions) => {
      const args = ['days', 'seed', 'customers', 'terminals', 'output', 'drift'] as const;
      context().exit(
        await runProgram({
          file: 'examples/fraud/generator/main.js',
          args: args.flatMap((name) => (options[name] === undefined ? [] : [`--${name}`, String(options[name])])),
        }),
      );
    });
}
