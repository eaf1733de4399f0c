import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { isTidemillError, messageOf, TidemillError } from '../../../contracts/errors.js';
import { tellCaller } from '../../../workers/tellCaller.js';
import { mergedEvents } from './events.js';
import { generateFraud, type GeneratorOptions } from './generateFraud.js';

/**
 * `tidemill generate fraud`: events as JSON lines `{stream, key, value}`, labels merged by time, to standard output or to
 * events.jsonl of a folder. Labels that become known after the last day are left out.
 */
const USAGE =
  'tidemill generate fraud --days N [--seed S] [--drift new-pattern@DAY] [--customers N] [--terminals N] [--output FOLDER|-]';

function optionsFrom(args: readonly string[]): GeneratorOptions & { readonly output: string } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      days: { type: 'string', default: '30' },
      seed: { type: 'string', default: '1' },
      drift: { type: 'string' },
      customers: { type: 'string', default: '5000' },
      terminals: { type: 'string', default: '10000' },
      output: { type: 'string', default: '-' },
    },
  });
  const whole = (name: 'days' | 'seed' | 'customers' | 'terminals', low: number): number => {
    const value = /^\d+$/.test(values[name]) ? Number(values[name]) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= low) return value;
    throw usage(`--${name} ${values[name]} is not a whole number from ${low}`);
  };
  const day = values.drift === undefined ? null : /^new-pattern@(\d+)$/.exec(values.drift)?.[1];
  if (day === undefined) throw usage(`--drift ${values.drift} is not like new-pattern@68`);
  return {
    days: whole('days', 1),
    seed: whole('seed', 0),
    customers: whole('customers', 1),
    terminals: whole('terminals', 1),
    driftDay: day === null ? null : Number(day),
    output: values.output,
  };
}

function usage(problem: string): TidemillError {
  return new TidemillError('USAGE_INVALID', `${problem}; usage: ${USAGE}`, {});
}

/** A piece of text a day. */
function* linesOf(options: GeneratorOptions, counts: Record<string, number>): Generator<string> {
  for (const { events } of mergedEvents(generateFraud(options))) {
    let text = '';
    for (const { stream, key, value } of events) {
      counts[stream] = (counts[stream] ?? 0) + 1;
      text += `{"stream":"${stream}","key":"${key}","value":${value}}\n`;
    }
    if (text !== '') yield text;
  }
}

async function main(): Promise<void> {
  const options = optionsFrom(process.argv.slice(2));
  const counts: Record<string, number> = {};
  const lines = Readable.from(linesOf(options, counts));
  if (options.output === '-') await pipeline(lines, process.stdout, { end: false });
  else {
    await mkdir(options.output, { recursive: true });
    await pipeline(lines, createWriteStream(join(options.output, 'events.jsonl')));
  }
  console.error(
    `${counts['transactions'] ?? 0} transactions and ${counts['fraud-labels'] ?? 0} labels of ${options.days} days`,
  );
}

try {
  await main();
} catch (error) {
  // Who reads may stop when it has enough: `| head`.
  if ((error as NodeJS.ErrnoException).code !== 'EPIPE') {
    if (!(await tellCaller(error)))
      console.error(isTidemillError(error) ? `${error.code}: ${error.message}` : messageOf(error));
    process.exitCode = isTidemillError(error) ? error.description.exit : 1;
  }
}
