import { expect, test } from 'vitest';
import {
  clusteredBootstrap,
  indexClusters,
  pairedClusteredBootstrap,
  quantileOf,
} from '../../../../models/statistics/clusteredBootstrap.js';
import { seededRandom } from '../../../../models/statistics/random.js';
import { rankScores, weightedMetric } from '../../../../models/statistics/rankedScores.js';

/** The metrics by their definitions, on rows that are really repeated. */
function naiveMetric(metric: 'average_precision' | 'auc', labels: number[], scores: number[]): number {
  const positives = labels.filter((label) => label === 1).length;
  if (metric === 'auc') {
    let wins = 0;
    labels.forEach((label, i) => {
      if (label !== 1) return;
      labels.forEach((other, j) => {
        if (other === 1) return;
        const [a, b] = [scores[i] as number, scores[j] as number];
        wins += a > b ? 1 : a === b ? 0.5 : 0;
      });
    });
    return wins / (positives * (labels.length - positives));
  }
  if (positives === 0) return Number.NaN;
  const thresholds = [...new Set(scores)].sort((a, b) => b - a);
  let [sum, recallBefore] = [0, 0];
  for (const threshold of thresholds) {
    const taken = labels.filter((_, row) => (scores[row] as number) >= threshold);
    const hits = taken.filter((label) => label === 1).length;
    sum += (hits / positives - recallBefore) * (hits / taken.length);
    recallBefore = hits / positives;
  }
  return sum;
}

test('a metric under weights is the metric of the repeated rows, ties included', () => {
  const random = seededRandom('weights');
  for (let round = 0; round < 60; round++) {
    const rows = 2 + random.below(40);
    const labels = Array.from({ length: rows }, () => random.below(3) >> 1);
    const scores = Array.from({ length: rows }, () => random.below(round % 2 === 0 ? 6 : 1_000) / 7);
    const entities = Array.from({ length: rows }, () => random.below(8));
    const { indexes, count } = indexClusters(entities);
    const weights = Int32Array.from({ length: count }, () => random.below(4));
    const repeated = labels.flatMap((_, row) =>
      Array.from({ length: weights[indexes[row] as number] as number }, () => row),
    );
    const ranked = rankScores(labels, scores, indexes);
    for (const metric of ['average_precision', 'auc'] as const) {
      const expected = naiveMetric(
        metric,
        repeated.map((row) => labels[row] as number),
        repeated.map((row) => scores[row] as number),
      );
      const actual = weightedMetric(metric, ranked, weights);
      if (Number.isNaN(expected)) expect(actual).toBeNaN();
      else expect(actual).toBeCloseTo(expected, 12);
    }
  }
});

test('the same seed gives the same draws; swapping the models turns the sign', () => {
  const random = seededRandom('rows');
  const labels = Array.from({ length: 400 }, () => (random.next() < 0.2 ? 1 : 0));
  const scoresA = labels.map((label) => label + random.normal());
  const scoresB = labels.map((label) => label + 2 * random.normal());
  const clusters = labels.map((_, row) => `customer ${row % 50}`);
  const options = { labels, clusters, metric: 'average_precision', resamples: 100, seed: 'a' } as const;
  const forth = pairedClusteredBootstrap({ ...options, scoresA, scoresB });
  expect(pairedClusteredBootstrap({ ...options, scoresA, scoresB })).toEqual(forth);
  const back = pairedClusteredBootstrap({ ...options, scoresA: scoresB, scoresB: scoresA });
  expect([...back.sorted].map((value) => -value).reverse()).toEqual([...forth.sorted]);
  expect(pairedClusteredBootstrap({ ...options, scoresA, scoresB, seed: 'b' }).sorted).not.toEqual(forth.sorted);
  expect(forth).toMatchObject({ rows: 400, clusters: 50, positives: labels.filter((label) => label === 1).length });
});

test('alike rows of one entity widen the interval', () => {
  const random = seededRandom('alike');
  const base = Array.from({ length: 150 }, () => ({ label: random.next() < 0.2 ? 1 : 0, noise: random.normal() }));
  const rows = base.flatMap((row, entity) => Array.from({ length: 4 }, () => ({ ...row, entity })));
  const options = {
    labels: rows.map(({ label }) => label),
    scores: rows.map(({ label, noise }) => label + noise),
    metric: 'auc',
    resamples: 400,
    seed: 1,
  } as const;
  const clustered = clusteredBootstrap({ ...options, clusters: rows.map(({ entity }) => entity) });
  const single = clusteredBootstrap({ ...options, clusters: rows.map(() => null) });
  expect([clustered.clusters, single.clusters]).toEqual([150, 600]);
  // Four copies of a row tell as much as one: the standard deviation is twice that of independent rows.
  expect(clustered.sd / single.sd).toBeGreaterThan(1.7);
  expect(clustered.sd / single.sd).toBeLessThan(2.3);
});

test('draws in which the metric is not defined are counted, not taken for values', () => {
  const sample = clusteredBootstrap({
    labels: [1, 0, 0],
    scores: [0.9, 0.5, 0.1],
    clusters: ['a', 'b', 'c'],
    metric: 'auc',
    resamples: 500,
    seed: 1,
  });
  expect(sample.undefinedResamples).toBeGreaterThan(100);
  expect(sample.sorted).toHaveLength(500 - sample.undefinedResamples);
  expect(sample.sorted.every((value) => value === 1)).toBe(true);
  const none = clusteredBootstrap({ labels: [0], scores: [1], clusters: ['a'], metric: 'auc', resamples: 5, seed: 1 });
  expect([none.value, none.mean, none.undefinedResamples]).toEqual([Number.NaN, Number.NaN, 5]);
});

test('quantiles interpolate between order statistics', () => {
  expect([0, 0.25, 0.5, 0.9, 1].map((p) => quantileOf([1, 2, 4, 8, 16], p))).toEqual([1, 2, 4, 12.8, 16]);
  expect(quantileOf([], 0.5)).toBeNaN();
});

test('labels other than 0 and 1, scores that are no numbers and rows of unequal length are refused', () => {
  const options = { metric: 'auc', seed: 1, clusters: ['a', 'b'] } as const;
  expect(() => clusteredBootstrap({ ...options, labels: [0, 2], scores: [0, 1] })).toThrow(/label 2/);
  expect(() => clusteredBootstrap({ ...options, labels: [0, 1], scores: [0, Number.NaN] })).toThrow(/NaN/);
  expect(() => clusteredBootstrap({ ...options, labels: [0, 1], scores: [0] })).toThrow(/as many/);
});
