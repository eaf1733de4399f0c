import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { checkCase } from './checkCase.js';
import { fuzzCase, type FuzzCase } from './fuzzCase.js';

/**
 * Differential fuzzing of the feature language: random definitions on random logs, every engine against the interpreter.
 * A failing case is shrunk and printed as a test that can be run.
 */
export async function fuzz(options: {
  readonly cases: number;
  readonly seed: number;
  readonly onFailure: (smallest: FuzzCase, differences: readonly string[]) => void;
}): Promise<{ seed: number; cases: number; failures: number; seconds: number }> {
  const started = performance.now();
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const duckdb = await instance.connect();
  let cases = 0;
  let failures = 0;
  try {
    const details = await fc.check(
      fc.asyncProperty(fuzzCase, async (each) => {
        cases++;
        return (await checkCase(each, duckdb)).length === 0;
      }),
      { numRuns: options.cases, seed: options.seed },
    );
    const smallest = details.counterexample?.[0];
    if (details.failed && smallest !== undefined) {
      failures = 1;
      const differences =
        details.errorInstance instanceof Error
          ? [String(details.errorInstance.stack)]
          : await checkCase(smallest, duckdb);
      options.onFailure(smallest, differences);
    } else if (details.failed) throw new Error(fc.defaultReportMessage(details));
    return {
      seed: options.seed,
      cases: details.failed ? details.numRuns : cases,
      failures,
      seconds: Math.round((performance.now() - started) / 100) / 10,
    };
  } finally {
    duckdb.closeSync();
    instance.closeSync();
  }
}

/** The case as a test file: put it under test/unit/features and run it. */
export function asTest(smallest: FuzzCase): string {
  return `test('engines agree', async () => {
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  expect(await checkCase(${JSON.stringify(smallest)} as FuzzCase, duckdb)).toEqual([]);
});`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '500' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const [cases, seed] = [Number(values.cases), Number(values.seed)];
  if (!Number.isSafeInteger(cases) || cases < 1 || !Number.isSafeInteger(seed)) {
    console.error('usage: npm run fuzz -- [--cases N] [--seed S] [--json]');
    process.exitCode = 2;
    return;
  }
  const result = await fuzz({
    cases,
    seed,
    onFailure: (smallest, differences) => {
      console.error(`${differences.slice(0, 10).join('\n')}\n\n${asTest(smallest)}`);
    },
  });
  if (values.json) console.log(JSON.stringify(result));
  else console.log(`seed ${result.seed}: ${result.cases} cases, ${result.failures} failures in ${result.seconds} s`);
  if (result.failures > 0) process.exitCode = 3;
}

if (process.argv[1]?.endsWith('fuzz.js') === true) await main();
