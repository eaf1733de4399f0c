import { expect, test } from 'vitest';
import { judgeComparative, type ComparisonOptions, type TestRows } from '../../../../models/gates/modelGates.js';
import { normalQuantile, normalUpper } from '../../../../models/statistics/normal.js';
import { seededRandom, type RandomNumbers } from '../../../../models/statistics/random.js';

/**
 * How often gates pass a candidate that lies exactly at their bound. Customers have 1 to 9 rows, a risk and a score level
 * of their own; both models share most of their noise:
 *
 *     label ~ Bernoulli(logistic(base + 1.2 z)),   score = strength label + 0.5 u + 0.7 s + 0.6 e
 *
 * so that AUC and average precision of each model are known without drawing anything: the score is normal with variance
 * 1.1 around 0 or the strength.
 */
const SCORE_SD = Math.sqrt(0.25 + 0.49 + 0.36);
const BASE = -2;
const GRID = 4_000;

interface Draw {
  readonly rows: TestRows;
  readonly a: Float64Array;
  readonly b: Float64Array;
}

function drawWorld(random: RandomNumbers, customers: number, strengthA: number, strengthB: number): Draw {
  const labels: number[] = [];
  const entities: number[] = [];
  const a: number[] = [];
  const b: number[] = [];
  for (let customer = 0; customer < customers; customer++) {
    const level = random.normal();
    const risk = logistic(BASE + 1.2 * random.normal());
    const rows = 1 + random.below(9);
    for (let row = 0; row < rows; row++) {
      const label = random.next() < risk ? 1 : 0;
      const shared = 0.5 * level + 0.7 * random.normal();
      labels.push(label);
      entities.push(customer);
      a.push(strengthA * label + shared + 0.6 * random.normal());
      b.push(strengthB * label + shared + 0.6 * random.normal());
    }
  }
  const rows = { labels: Float64Array.from(labels), days: new Int32Array(labels.length), entities };
  return { rows, a: Float64Array.from(a), b: Float64Array.from(b) };
}

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Mean of a function over (0, 1), by midpoints. */
function meanOver(value: (u: number) => number): number {
  let sum = 0;
  for (let point = 0; point < GRID; point++) sum += value((point + 0.5) / GRID);
  return sum / GRID;
}

function trueMetric(metric: 'average_precision' | 'auc', strength: number): number {
  if (metric === 'auc') return 1 - normalUpper(strength / (Math.SQRT2 * SCORE_SD));
  const positives = meanOver((u) => logistic(BASE + 1.2 * normalQuantile(u)));
  return meanOver((recall) => {
    const falseRate = normalUpper(strength / SCORE_SD + normalQuantile(1 - recall));
    return (positives * recall) / (positives * recall + (1 - positives) * falseRate);
  });
}

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
