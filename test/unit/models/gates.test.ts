import { describe, expect, test } from 'vitest';
import { judgeData } from '../../../models/gates/dataGates.js';
import { judgeAbsolute, judgeComparative, notApplicable, type TestRows } from '../../../models/gates/modelGates.js';
import { promotionAllowed, type Verdict } from '../../../models/gates/verdict.js';
import { clusteredBootstrap } from '../../../models/statistics/clusteredBootstrap.js';
import { seededRandom } from '../../../models/statistics/random.js';

/** Clustered rows with two equally good models: the same signal, noise of their own. */
function equals(seed: number, clusters = 120): { rows: TestRows; a: Float64Array; b: Float64Array } {
  const random = seededRandom(seed);
  const labels: number[] = [];
  const entities: number[] = [];
  const a: number[] = [];
  const b: number[] = [];
  for (let cluster = 0; cluster < clusters; cluster++) {
    const risk = random.next();
    for (let row = 0; row < 5; row++) {
      const label = random.next() < risk * 0.4 ? 1 : 0;
      labels.push(label);
      entities.push(cluster);
      const signal = label * 0.3 + risk * 0.3;
      a.push(signal + random.next());
      b.push(signal + random.next());
    }
  }
  const rows = { labels: Float64Array.from(labels), days: new Int32Array(labels.length), entities };
  return { rows, a: Float64Array.from(a), b: Float64Array.from(b) };
}

const superior = { kind: 'superior', metric: 'average_precision', margin: 0 } as const;

describe('a comparison', () => {
  test('of a model with itself is not superior and not worse', () => {
    const { rows, a } = equals(1);
    expect(judgeComparative(superior, 'champion', rows, a, a, 1).verdict).toBe('inconclusive');
    expect(judgeComparative({ ...superior, kind: 'notWorse', margin: 0.02 }, 'champion', rows, a, a, 1).verdict).toBe(
      'pass',
    );
  });

  test('passes what is clearly better and fails what is clearly worse', () => {
    const { rows, a } = equals(2);
    const perfect = Float64Array.from(rows.labels);
    expect(judgeComparative(superior, 'champion', rows, perfect, a, 1).verdict).toBe('pass');
    expect(judgeComparative(superior, 'champion', rows, a, perfect, 1).verdict).toBe('fail');
  });

  test('calls equal models superior in at most about 5 of 100 experiments', () => {
    let passed = 0;
    const experiments = 200;
    for (let seed = 0; seed < experiments; seed++) {
      const { rows, a, b } = equals(seed + 10);
      const cluster = Int32Array.from(rows.entities as number[]);
      const { differences } = clusteredBootstrap({
        labels: rows.labels,
        candidate: a,
        reference: b,
        cluster,
        clusters: 120,
        metric: 'average_precision',
        seed,
        resamples: 200,
      });
      if ((differences[10] as number) > 0) passed++;
    }
    // 200 experiments at 5 %: 10 expected, more than 19 in one of 200 such runs.
    expect(passed).toBeLessThanOrEqual(19);
  });

  test('of too few positives is inconclusive', () => {
    const rows = { labels: Float64Array.of(1, 0, 0), days: new Int32Array(3), entities: [1, 2, 3] };
    expect(judgeComparative(superior, 'champion', rows, rows.labels, rows.labels, 1).verdict).toBe('inconclusive');
    expect(judgeAbsolute({ kind: 'atLeast', metric: 'auc', bound: 0.5 }, rows, rows.labels).verdict).toBe(
      'inconclusive',
    );
  });

  test('gives the same numbers for the same seed', () => {
    const { rows, a, b } = equals(3);
    expect(judgeComparative(superior, 'champion', rows, a, b, 9)).toEqual(
      judgeComparative(superior, 'champion', rows, a, b, 9),
    );
  });
});

describe('a dataset', () => {
  const facts = { rows: 5_000, positives: 100, columns: ['a', 'b'], nullShares: [0, 0.1], labelledShare: 1 };
  const kinds = (changed: Partial<typeof facts>): string[] =>
    judgeData({ ...facts, ...changed }).map(({ verdict }) => verdict);
  test('with too little in it is inconclusive; with a column of nulls it fails', () => {
    expect(kinds({})).toEqual(['pass', 'pass', 'pass', 'pass']);
    expect(kinds({ positives: 3 })).toContain('inconclusive');
    expect(kinds({ rows: 0, positives: 0 })).toContain('inconclusive');
    expect(kinds({ nullShares: [0, 1] })).toContain('fail');
  });
});

describe('a promotion', () => {
  const pass = (kind: Verdict['kind']): Verdict => ({
    gate: 'g',
    kind,
    verdict: 'pass',
    value: 1,
    low: null,
    high: null,
    bound: 0,
    rows: 1,
    positives: 1,
    look: 1,
    reason: '',
  });
  test('needs every verdict to pass', () => {
    expect(promotionAllowed([])).toBe(false);
    expect(promotionAllowed([pass('absolute'), pass('champion')])).toBe(true);
    expect(promotionAllowed([pass('absolute'), { ...pass('champion'), verdict: 'inconclusive' }])).toBe(false);
    expect(promotionAllowed([pass('data')])).toBe(false);
  });
  test('of a first version needs an absolute gate and the baseline', () => {
    const first = notApplicable(superior);
    expect(promotionAllowed([first, pass('absolute')])).toBe(false);
    expect(promotionAllowed([first, pass('absolute'), pass('baseline')])).toBe(true);
  });
});
