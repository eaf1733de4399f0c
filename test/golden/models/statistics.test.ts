import { describe, expect, test } from 'vitest';
import {
  clusteredBootstrap,
  pairedClusteredBootstrap,
  quantileOf,
} from '../../../models/statistics/clusteredBootstrap.js';
import { normalCdf, normalQuantile, normalUpper } from '../../../models/statistics/normal.js';
import { wilsonInterval } from '../../../models/statistics/proportion.js';
import { golden, hasGoldens } from './goldens.js';

interface GoldenDifference {
  readonly mean: number;
  readonly sd: number;
  readonly quantiles: Readonly<Record<string, number>>;
}
interface GoldenBootstrap {
  readonly cluster: readonly number[];
  readonly y: readonly number[];
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly ap_a: number;
  readonly ap_b: number;
  readonly auc_a: number;
  readonly auc_b: number;
  readonly delta_ap: GoldenDifference;
  readonly delta_auc: GoldenDifference;
}
interface GoldenStatistics {
  readonly quantiles: { readonly p: number[]; readonly normal: number[] };
  readonly cdf: { readonly x: number[]; readonly normal: number[]; readonly normal_sf: number[] };
  readonly binomial: readonly { k: number; n: number; ci95_wilson: [number, number]; ci99_wilson: [number, number] }[];
}

const present = hasGoldens('model-comparison');

describe.skipIf(!present)('comparison of models', () => {
  // The body of a skipped suite still runs.
  if (!present) return void test('needs the goldens', () => undefined);
  const rows = golden<GoldenBootstrap>('model-comparison', 'cluster_bootstrap.json.gz');
  const statistics = golden<GoldenStatistics>('model-comparison', 'statistics.json');

  test.for([
    ['average_precision', rows.ap_a, rows.ap_b, rows.delta_ap],
    ['auc', rows.auc_a, rows.auc_b, rows.delta_auc],
  ] as const)('paired clustered bootstrap of %s', ([metric, a, b, expected]) => {
    const sample = pairedClusteredBootstrap({
      labels: rows.y,
      scoresA: rows.a,
      scoresB: rows.b,
      clusters: rows.cluster,
      metric,
      seed: 'golden',
    });
    expect(sample).toMatchObject({ resamples: 2_000, undefinedResamples: 0, clusters: 400, rows: rows.y.length });
    expectRelative(sample.valueA, a, 1e-9);
    expectRelative(sample.valueB, b, 1e-9);
    expectRelative(sample.value, a - b, 1e-9);
    expect(Math.abs(sample.mean - expected.mean)).toBeLessThanOrEqual(0.003);
    expect(Math.abs(sample.sd / expected.sd - 1)).toBeLessThanOrEqual(0.08);
    for (const probability of ['0.025', '0.975']) {
      const quantile = quantileOf(sample.sorted, Number(probability));
      expect(Math.abs(quantile - (expected.quantiles[probability] as number))).toBeLessThanOrEqual(0.006);
    }
  });

  test('bootstrap of one model has its value', () => {
    const sample = clusteredBootstrap({
      labels: rows.y,
      scores: rows.a,
      clusters: rows.cluster,
      metric: 'auc',
      seed: 1,
      resamples: 200,
    });
    expectRelative(sample.value, rows.auc_a, 1e-9);
    expect(quantileOf(sample.sorted, 0.05)).toBeLessThan(sample.value);
    expect(quantileOf(sample.sorted, 0.95)).toBeGreaterThan(sample.value);
  });

  test('normal distribution', () => {
    statistics.quantiles.p.forEach((p, index) => {
      expectRelative(normalQuantile(p), statistics.quantiles.normal[index] as number, 1e-9);
    });
    statistics.cdf.x.forEach((x, index) => {
      expectRelative(normalCdf(x), statistics.cdf.normal[index] as number, 1e-9);
      expectRelative(normalUpper(x), statistics.cdf.normal_sf[index] as number, 1e-9);
    });
  });

  test("Wilson's interval", () => {
    for (const { k, n, ci95_wilson, ci99_wilson } of statistics.binomial) {
      for (const [level, [low, high]] of [
        [0.95, ci95_wilson],
        [0.99, ci99_wilson],
      ] as const) {
        const interval = wilsonInterval(k, n, level);
        expectRelative(interval.low, low, 1e-9);
        expectRelative(interval.high, high, 1e-9);
      }
    }
  });
});

function expectRelative(actual: number, expected: number, tolerance: number): void {
  expect(Math.abs(actual - expected), `${actual} for ${expected}`).toBeLessThanOrEqual(tolerance * Math.abs(expected));
}
