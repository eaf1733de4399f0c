import { describe, expect, test } from 'vitest';
import { confidenceBounds } from '../../../../models/gates/confidence.js';
import { judgeAbsolute, judgeComparative, notApplicable, type TestRows } from '../../../../models/gates/modelGates.js';
import { promotionAllowed, type Verdict } from '../../../../models/gates/verdict.js';
import { pairedClusteredBootstrap } from '../../../../models/statistics/clusteredBootstrap.js';
import { seededRandom } from '../../../../models/statistics/random.js';
import { studentQuantile } from '../../../../models/statistics/student.js';

/** Rows of `entities` customers, five each, with two scores of the given strengths. */
function world(seed: string, entities: number, strengthA: number, strengthB: number) {
  const random = seededRandom(seed);
  const labels: number[] = [];
  const owners: number[] = [];
  const a: number[] = [];
  const b: number[] = [];
  for (let entity = 0; entity < entities; entity++) {
    for (let row = 0; row < 5; row++) {
      const label = random.next() < 0.15 ? 1 : 0;
      labels.push(label);
      owners.push(entity);
      a.push(strengthA * label + random.normal());
      b.push(strengthB * label + random.normal());
    }
  }
  const rows: TestRows = {
    labels: Float64Array.from(labels),
    days: new Int32Array(labels.length),
    entities: owners,
  };
  return { rows, a: Float64Array.from(a), b: Float64Array.from(b) };
}

const superior = { kind: 'superior', metric: 'average_precision', margin: 0 } as const;
const notWorse = { kind: 'notWorse', metric: 'average_precision', margin: 0.02 } as const;

describe('a comparison', () => {
  test('of a model with itself is not superior and not worse', () => {
    const { rows, a } = world('self', 100, 1, 1);
    expect(judgeComparative(superior, 'champion', rows, a, a, 1)).toMatchObject({ verdict: 'inconclusive', value: 0 });
    expect(judgeComparative(notWorse, 'champion', rows, a, a, 1)).toMatchObject({ verdict: 'pass', bound: -0.02 });
  });

  test('passes what is clearly better and fails what is clearly worse', () => {
    const { rows, a, b } = world('clear', 200, 3, 0.5);
    for (const gate of [superior, notWorse]) {
      expect(judgeComparative(gate, 'champion', rows, a, b, 1).verdict).toBe('pass');
      expect(judgeComparative(gate, 'champion', rows, b, a, 1).verdict).toBe('fail');
    }
  });

  test('says on what it rests', () => {
    const { rows, a, b } = world('grounds', 200, 2, 1.5);
    const verdict = judgeComparative({ ...superior, metric: 'auc' }, 'baseline', rows, a, b, 'seed');
    expect(verdict).toMatchObject({ gate: 'superior(auc)', kind: 'baseline', rows: 1_000, look: 1, bound: 0 });
    expect(verdict.low as number).toBeLessThan(verdict.value as number);
    expect(verdict.high as number).toBeGreaterThan(verdict.value as number);
    expect(judgeComparative({ ...superior, metric: 'auc' }, 'baseline', rows, a, b, 'seed')).toEqual(verdict);
    expect(judgeComparative({ ...superior, metric: 'auc' }, 'baseline', rows, a, b, 'other').low).not.toBe(verdict.low);
  });

  test('that rests on too little is inconclusive', () => {
    const { rows, a, b } = world('little', 200, 3, 0.5);
    const first = (count: number): Verdict =>
      judgeComparative(
        superior,
        'champion',
        {
          labels: rows.labels.slice(0, count),
          entities: rows.entities.slice(0, count),
        },
        a.slice(0, count),
        b.slice(0, count),
        1,
      );
    expect(first(50)).toMatchObject({ verdict: 'inconclusive', value: null });
    expect(first(0)).toMatchObject({ verdict: 'inconclusive', rows: 0 });
    const fewEntities = { ...rows, entities: Array.from(rows.entities, (entity) => Number(entity) % 6) };
    expect(judgeComparative(superior, 'champion', fewEntities, a, b, 1)).toMatchObject({ verdict: 'inconclusive' });
    const allPositive = { ...rows, labels: rows.labels.map(() => 1) };
    expect(judgeComparative(superior, 'champion', allPositive, a, b, 1)).toMatchObject({ verdict: 'inconclusive' });
  });

  test('asks more of an early look than of the last', () => {
    const { rows, a, b } = world('looks', 200, 2, 1.8);
    const sample = pairedClusteredBootstrap({
      labels: rows.labels,
      scoresA: a,
      scoresB: b,
      clusters: rows.entities,
      metric: 'auc',
      seed: 1,
    });
    const shares = [1 / 3, 2 / 3, 1];
    const lows = [1, 2, 3].map((look) => confidenceBounds(sample, { shares, look }).low);
    expect(lows[0]).toBeLessThan(lows[1] as number);
    expect(lows[1]).toBeLessThan(lows[2] as number);
    expect(lows[2]).toBeLessThanOrEqual(confidenceBounds(sample).low);
  });
});

describe('an absolute gate', () => {
  const { rows, a } = world('absolute', 100, 2, 0);
  test('compares the value with the bound', () => {
    const atLeast = (bound: number): Verdict => judgeAbsolute({ kind: 'atLeast', metric: 'auc', bound }, rows, a);
    const value = atLeast(0).value as number;
    expect(value).toBeGreaterThan(0.8);
    expect([atLeast(value).verdict, atLeast(value + 1e-9).verdict]).toEqual(['pass', 'fail']);
    const brier = judgeAbsolute(
      { kind: 'atMost', metric: 'brier', bound: 0.01 },
      rows,
      a.map(() => 0.5),
    );
    expect(brier).toMatchObject({ verdict: 'fail', value: 0.25 });
  });

  test('gives an interval where it is asked for one', () => {
    const { value, low, high } = judgeAbsolute({ kind: 'atLeast', metric: 'auc', bound: 0.5 }, rows, a, 'seed');
    expect(low as number).toBeLessThan(value as number);
    expect(high as number).toBeGreaterThan(value as number);
  });

  test('is inconclusive without positives', () => {
    const none = { ...rows, labels: rows.labels.map(() => 0) };
    expect(judgeAbsolute({ kind: 'atLeast', metric: 'auc', bound: 0 }, none, a).verdict).toBe('inconclusive');
  });
});

describe('a promotion', () => {
  const verdictOf = (kind: Verdict['kind'], verdict: Verdict['verdict'] = 'pass'): Verdict => ({
    ...{ gate: 'g', kind, verdict, value: 1, low: null, high: null, bound: 0, rows: 1, positives: 1, look: 1 },
    reason: '',
  });
  test('needs every verdict to pass, one of them absolute', () => {
    expect(promotionAllowed([])).toBe(false);
    expect(promotionAllowed([verdictOf('data')])).toBe(false);
    expect(promotionAllowed([verdictOf('absolute'), verdictOf('champion')])).toBe(true);
    for (const verdict of ['fail', 'inconclusive'] as const) {
      expect(promotionAllowed([verdictOf('absolute'), verdictOf('champion', verdict)])).toBe(false);
    }
  });
  test('of a first version needs an absolute gate and the baseline', () => {
    const first = notApplicable(superior);
    expect(promotionAllowed([first, verdictOf('absolute')])).toBe(false);
    expect(promotionAllowed([first, verdictOf('baseline')])).toBe(false);
    expect(promotionAllowed([first, verdictOf('absolute'), verdictOf('baseline')])).toBe(true);
  });
});

test.for([
  [20, 1.724718],
  [30, 1.697261],
  [60, 1.670649],
  [100, 1.660234],
] as const)("Student's t with %i degrees of freedom: %d at 0.95", ([degrees, quantile]) => {
  expect(studentQuantile(0.95, degrees)).toBeCloseTo(quantile, 4);
});
