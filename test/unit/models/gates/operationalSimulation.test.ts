import { expect, test } from 'vitest';
import type { OtherScore } from '../../../../contracts/records.js';
import { OperationalEvidence } from '../../../../models/gates/operationalEvidence.js';
import { decided } from '../../../../models/gates/operationalVerdicts.js';
import { agreement, errors, latency } from '../../../../models/operationalGates.js';
import { seededRandom, type RandomNumbers } from '../../../../models/statistics/random.js';

/**
 * Shadows of a challenger, watched every fifty requests and ended by what `decided` says. Customers are unequally active,
 * and some are of a kind that has more of all trouble, by a factor of three to the average.
 */
const CUSTOMERS = 500;
const REQUESTS = 4_500;
const WANTED = 3_000;
const LOOK_EVERY = 50;
const PRONE = 0.2;
const TROUBLE = 3;
const GATES = [latency({ share: 0.95, under: '5ms' }), errors(0.02), agreement({ decisions: 0.05 })];
const MARGINS = { slow: 0.05, failing: 0.02, differing: 0.05 };

type Shares = typeof MARGINS;

function shadow(random: RandomNumbers, shares: Shares): 'pass' | 'fail' | 'continue' {
  const cumulated: number[] = [];
  let total = 0;
  for (let customer = 0; customer < CUSTOMERS; customer++) cumulated.push((total += Math.exp(random.normal())));
  const prone = cumulated.map(() => random.next() < PRONE);
  const evidence = new OperationalEvidence({
    ...{ gates: GATES, challenger: 2, champion: 1, mode: 'shadow', requests: WANTED },
  });
  const calm = (1 - PRONE * TROUBLE) / (1 - PRONE);
  for (let request = 1; request <= REQUESTS; request++) {
    const place = random.next() * total;
    const entity = cumulated.findIndex((upTo) => upTo > place);
    const factor = prone[entity] === true ? TROUBLE : calm;
    const happens = (share: number): boolean => random.next() < share * factor;
    const hasFailed = happens(shares.failing);
    const other: OtherScore = {
      version: 2,
      role: 'challenger',
      score: hasFailed ? null : 0.1,
      decision: hasFailed ? null : happens(shares.differing) ? 'block' : 'allow',
      micros: (happens(shares.slow) ? 9_000 : 900) + (request % 2),
      problem: null,
    };
    const champion = { version: 1, role: 'champion', arm: 'champion', decision: 'allow', micros: 800 } as const;
    const source = { topic: 'transactions', partition: 0, offset: request };
    evidence.observe({ ...champion, others: [other], entity, source });
    if (request % LOOK_EVERY !== 0) continue;
    const decision = decided(evidence.judge(request / LOOK_EVERY), evidence.requests >= WANTED);
    if (decision !== 'continue') return decision;
  }
  return 'continue';
}

function outcomesOf(name: string, shares: Shares, rounds: number): { pass: number; fail: number } {
  const outcomes = Array.from({ length: rounds }, (_, round) => shadow(seededRandom(`${name} ${round}`), shares));
  const share = (wanted: string): number => outcomes.filter((each) => each === wanted).length / rounds;
  return { pass: share('pass'), fail: share('fail') };
}

const GOOD: Shares = { slow: 0.005, failing: 0.001, differing: 0.005 };

test.for(['slow', 'failing', 'differing'] as const)(
  'a challenger that is at the margin of `%s` and good otherwise passes or fails at most one of twenty shadows',
  (kind) => {
    const { pass, fail } = outcomesOf(`at ${kind}`, { ...GOOD, [kind]: MARGINS[kind] }, 80);
    expect(pass).toBeLessThanOrEqual(0.05);
    expect(fail).toBeLessThanOrEqual(0.05);
  },
);

test('a good challenger passes and a bad one fails in nine of ten shadows', () => {
  const good = outcomesOf('good', GOOD, 50);
  expect(good.pass).toBeGreaterThanOrEqual(0.9);
  for (const [kind, margin] of Object.entries(MARGINS)) {
    const bad = outcomesOf(`bad ${kind}`, { ...GOOD, [kind]: 4 * margin }, 30);
    expect(bad.fail).toBeGreaterThanOrEqual(0.9);
  }
});

test('batches that are slow as one, just often enough to miss the limit, pass or fail at most one of twenty shadows', () => {
  const rounds = 100;
  const ends = Array.from({ length: rounds }, (_, round) => {
    const random = seededRandom(`batches ${round}`);
    const evidence = new OperationalEvidence({
      ...{
        gates: [latency({ share: 0.95, under: '5ms' })],
        challenger: 2,
        champion: 1,
        mode: 'shadow',
        requests: 5_000,
      },
    });
    for (let batch = 1; batch <= 400; batch++) {
      const micros = (random.next() < 0.05 ? 9_000 : 900) + (batch % 2);
      const requests = 1 + random.below(40);
      const other = { version: 2, role: 'challenger', score: 0.1, decision: 'allow', micros, problem: null } as const;
      const champion = { version: 1, role: 'champion', arm: 'champion', decision: 'allow', micros: 800 } as const;
      const source = { topic: 'transactions', partition: 0, offset: batch };
      for (let request = 0; request < requests; request++) {
        evidence.observe({ ...champion, others: [other], entity: random.below(CUSTOMERS), source });
      }
      const [verdict] = evidence.judge(batch);
      if (verdict !== undefined && verdict.verdict !== 'inconclusive') return verdict.verdict;
    }
    return 'inconclusive';
  });
  const shareOf = (wanted: string): number => ends.filter((end) => end === wanted).length / rounds;
  expect(shareOf('pass')).toBeLessThanOrEqual(0.05);
  expect(shareOf('fail')).toBeLessThanOrEqual(0.05);
});
