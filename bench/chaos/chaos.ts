import { parseArgs } from 'node:util';
import { messageOf } from '../../contracts/errors.js';
import { Cluster } from './rollout/cluster.js';
import { lookAfter, lookBefore } from './rollout/invariants.js';
import { ROLLOUT_FAULTS, SHORT_FORM } from './rollout/rolloutFaults.js';
import type { RolloutFault } from './rollout/rolloutSteps.js';

/**
 * Breaks things on purpose and looks whether everything is still whole.
 *
 *   npm run chaos -- --suite rollout [--short] [--only PATTERN] [--seed N] [--keep] --json
 */
interface FaultResult {
  readonly step: string;
  readonly fault: string;
  readonly outcome: string;
  readonly promotions: number;
  readonly compensations: number;
  readonly seconds: number;
  readonly problems: readonly string[];
}

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'rollout' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    short: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const started = performance.now();
const say = (text: string): void => {
  process.stderr.write(`${((performance.now() - started) / 1_000).toFixed(0).padStart(5)} s  ${text}\n`);
};

const nameOf = ({ step, fault }: RolloutFault): string => `${step} ${fault}`;
const chosen = ROLLOUT_FAULTS.filter((each) =>
  values.only !== undefined
    ? new RegExp(values.only).test(nameOf(each))
    : !values.short || SHORT_FORM.includes(nameOf(each)),
);

async function runFault(cluster: Cluster, fault: RolloutFault, id: string): Promise<FaultResult> {
  const begun = performance.now();
  const { step } = fault;
  const lacking = (await fault.needs?.()) ?? null;
  if (lacking !== null) {
    say(`  ${lacking}`);
    return { step, fault: fault.fault, outcome: 'skipped', promotions: 0, compensations: 0, seconds: 0, problems: [] };
  }
  const before = await lookBefore(cluster);
  let outcome: string;
  const problems: string[] = [];
  try {
    outcome = await fault.run(cluster, id);
    if (!fault.outcomes.includes(outcome)) problems.push(`came out as ${outcome}, not ${fault.outcomes.join(' or ')}`);
  } catch (error) {
    outcome = 'failed';
    problems.push(messageOf(error));
  }
  const found = await lookAfter(cluster, before, fault.promotions ?? 1);
  problems.push(...found.problems);
  const seconds = Math.round((performance.now() - begun) / 100) / 10;
  const { promotions, compensations } = found;
  return { step, fault: fault.fault, outcome, promotions, compensations, seconds, problems };
}

if (values.suite !== 'rollout') {
  process.stderr.write(`there is no suite ${values.suite}: rollout\n`);
  process.exit(2);
}
const seed = Number(values.seed);
const cluster = await Cluster.start(seed, say);
const faults: FaultResult[] = [];
try {
  for (const [at, fault] of chosen.entries()) {
    say(`${at + 1} of ${chosen.length}: ${nameOf(fault)}`);
    const result = await runFault(cluster, fault, `case-${at}`);
    faults.push(result);
    say(
      `  ${result.outcome} in ${result.seconds} s${result.problems.map((problem) => `\n        ${problem}`).join('')}`,
    );
  }
} finally {
  const failed = faults.length < chosen.length || faults.some(({ problems }) => problems.length > 0);
  if (values.keep) say(`kept: ${cluster.directory}`);
  await cluster.stop(values.keep);
  if (values.json) process.stdout.write(`${JSON.stringify({ seed, faults })}\n`);
  process.exitCode = failed ? 3 : 0;
}
