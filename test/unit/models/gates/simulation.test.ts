import { expect, test } from 'vitest';
import { judgeComparative, type ComparisonOptions } from '../../../../models/gates/modelGates.js';
import { seededRandom } from '../../../../models/statistics/random.js';
import { drawWorld, trueMetric } from '../../../support/rankedWorld.js';

/** How often gates pass a candidate that lies exactly at their bound. */
const CUSTOMERS = 200;
const OPTIONS: ComparisonOptions = { resamples: 250 };
const ALLOWED = 0.05;

test.for([
  ['average_precision', 1_200],
  ['auc', 800],
] as const)(
  'notWorse(%s) passes at most one in twenty candidates that are worse by the margin (%i rounds)',
  ([metric, rounds]) => {
    const margin = trueMetric(metric, 1.6) - trueMetric(metric, 1.4);
    expect(margin).toBeGreaterThan(0.02);
    let passed = 0;
    for (let round = 0; round < rounds; round++) {
      const { rows, a, b } = drawWorld(seededRandom(`notWorse ${metric} ${round}`), CUSTOMERS, 1.4, 1.6);
      const gate = { kind: 'notWorse', metric, margin } as const;
      if (judgeComparative(gate, 'champion', rows, a, b, round, OPTIONS).verdict === 'pass') passed++;
    }
    expect(passed / rounds).toBeLessThanOrEqual(ALLOWED);
    // Nor does it pass by never passing.
    expect(passed / rounds).toBeGreaterThan(0.02);
  },
);

test('superior passes at most one in twenty candidates that are as good, and fails as few', () => {
  const rounds = 1_500;
  const gate = { kind: 'superior', metric: 'average_precision', margin: 0 } as const;
  let passed = 0;
  let failed = 0;
  for (let round = 0; round < rounds; round++) {
    const { rows, a, b } = drawWorld(seededRandom(`superior ${round}`), CUSTOMERS, 1.5, 1.5);
    const { verdict } = judgeComparative(gate, 'champion', rows, a, b, round, OPTIONS);
    if (verdict === 'pass') passed++;
    if (verdict === 'fail') failed++;
  }
  expect(passed / rounds).toBeLessThanOrEqual(ALLOWED);
  // Equals are symmetric: both rates are one.
  expect((passed + failed) / 2 / rounds).toBeLessThanOrEqual(ALLOWED);
  expect((passed + failed) / rounds).toBeGreaterThan(0.05);
});

test('three looks at a growing test pass at most one in twenty equals together; a better candidate passes early', () => {
  const shares = [0.4, 0.7, 1];
  const gate = { kind: 'superior', metric: 'auc', margin: 0 } as const;
  const passedAt = (seed: string, strengthA: number): number => {
    const { rows, a, b } = drawWorld(seededRandom(seed), CUSTOMERS, strengthA, 1.5);
    for (const [index, share] of shares.entries()) {
      const until = (rows.entities as number[]).findIndex((customer) => customer >= CUSTOMERS * share);
      const end = until === -1 ? rows.labels.length : until;
      const part = {
        labels: rows.labels.subarray(0, end),
        days: rows.days.subarray(0, end),
        entities: rows.entities.slice(0, end),
      };
      const looks = { shares, look: index + 1 };
      const verdict = judgeComparative(
        gate,
        'champion',
        part,
        a.subarray(0, end),
        b.subarray(0, end),
        `${seed} ${index}`,
        {
          ...OPTIONS,
          looks,
        },
      );
      if (verdict.verdict === 'pass') return index + 1;
    }
    return 0;
  };
  const rounds = 500;
  const equal = Array.from({ length: rounds }, (_, round) => passedAt(`equal ${round}`, 1.5));
  expect(equal.filter((look) => look > 0).length / rounds).toBeLessThanOrEqual(ALLOWED);
  const better = Array.from({ length: 40 }, (_, round) => passedAt(`better ${round}`, 2.5));
  expect(better.filter((look) => look > 0).length).toBeGreaterThan(35);
  expect(better.filter((look) => look === 1 || look === 2).length).toBeGreaterThan(20);
});
