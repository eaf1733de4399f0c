import { messageOf } from '../../../contracts/errors.js';
import type { SuiteOptions, SuiteResult } from '../suite.js';
import { Cluster } from './cluster.js';
import { lookAfter, lookBefore } from './invariants.js';
import { ROLLOUT_FAULTS, SHORT_FORM } from './rolloutFaults.js';
import type { RolloutFault } from './rolloutSteps.js';

interface FaultResult {
  readonly step: string;
  readonly fault: string;
  readonly outcome: string;
  readonly promotions: number;
  readonly compensations: number;
  readonly seconds: number;
  readonly problems: readonly string[];
}

const nameOf = ({ step, fault }: RolloutFault): string => `${step} ${fault}`;

/** The rollout suite: every fault around a rollout of its own. */
export async function runRollouts({ seed, only, short, keep, say }: SuiteOptions): Promise<SuiteResult> {
  const chosen = ROLLOUT_FAULTS.filter((each) =>
    only === null ? !short || SHORT_FORM.includes(nameOf(each)) : new RegExp(only).test(nameOf(each)),
  );
  const cluster = await Cluster.start(seed, say);
  const faults: FaultResult[] = [];
  try {
    for (const [at, fault] of chosen.entries()) {
      say(`${at + 1} of ${chosen.length}: ${nameOf(fault)}`);
      const result = await runFault(cluster, fault, `case-${at}`, say);
      faults.push(result);
      say(
        `  ${result.outcome} in ${result.seconds} s${result.problems.map((problem) => `\n        ${problem}`).join('')}`,
      );
    }
  } finally {
    if (keep) say(`kept: ${cluster.directory}`);
    await cluster.stop(keep);
  }
  return { seed, faults, failed: faults.some(({ problems }) => problems.length > 0) };
}

async function runFault(
  cluster: Cluster,
  fault: RolloutFault,
  id: string,
  say: (text: string) => void,
): Promise<FaultResult> {
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
