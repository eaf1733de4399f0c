import { parseArgs } from 'node:util';
import { messageOf } from '../../contracts/errors.js';
import { runRollouts } from './rollout/runRollouts.js';
import { runStreams } from './streams/runStreams.js';
import type { SuiteOptions, SuiteResult } from './suite.js';

/**
 * Breaks things on purpose and looks whether everything is still whole.
 *
 *   npm run chaos -- [--suite streams|rollout|all] [--short] [--only PATTERN] [--seed N] [--keep] --json
 *
 * Ends with 3 where something is not whole, or a fault was not made. With `all`, one line of JSON a suite.
 */
const SUITES: Readonly<Record<string, (options: SuiteOptions) => Promise<SuiteResult>>> = {
  streams: runStreams,
  rollout: runRollouts,
};

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'streams' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    short: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const names = values.suite === 'all' ? Object.keys(SUITES) : [values.suite];
const unknown = names.find((name) => SUITES[name] === undefined);
if (unknown !== undefined) {
  process.stderr.write(`there is no suite ${unknown}: ${Object.keys(SUITES).join(', ')}, all\n`);
  process.exit(2);
}
const started = performance.now();
const say = (text: string): void => {
  process.stderr.write(`${((performance.now() - started) / 1_000).toFixed(0).padStart(5)} s  ${text}\n`);
};
const options = {
  seed: Number(values.seed),
  only: values.only ?? null,
  short: values.short,
  keep: values.keep,
  say,
};
for (const name of names) {
  try {
    const { failed, ...result } = await (SUITES[name] as (typeof SUITES)[string])(options);
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (failed) process.exitCode = 3;
  } catch (error) {
    say(`${name}: ${messageOf(error)}`);
    process.exitCode = 3;
  }
}
