import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SCORE_BINS, scoreBin, scoreQuantiles } from '../../../../models/monitoring/scoreBins.js';

const odds = (score: number): number => Math.log(score / (1 - score));

test('greater scores are in no lower bin, and every score is in one', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (a, b) => {
      const [low, high] = [scoreBin(Math.min(a, b)), scoreBin(Math.max(a, b))];
      expect(low).toBeLessThanOrEqual(high);
      expect(low).toBeGreaterThanOrEqual(0);
      expect(high).toBeLessThan(SCORE_BINS);
    }),
  );
  expect([0, 1e-9, 0.5, 1 - 1e-9, 1].map(scoreBin)).toEqual([0, 0, 41, 81, 81]);
});

test('quantiles are true to a bin, a quarter of the log-odds, for rare events too', () => {
  const scores = Array.from({ length: 20_000 }, (_, at) => 0.000_5 + 0.4 * ((at + 0.5) / 20_000) ** 6);
  const bins = new Float64Array(SCORE_BINS);
  for (const score of scores) bins[scoreBin(score)] = (bins[scoreBin(score)] as number) + 1;
  const quantiles = scoreQuantiles(bins);
  for (const [name, share] of [
    ['p5', 0.05],
    ['p25', 0.25],
    ['p50', 0.5],
    ['p75', 0.75],
    ['p95', 0.95],
    ['p99', 0.99],
  ] as const) {
    const exact = scores[Math.floor(share * scores.length)] as number;
    expect(Math.abs(odds(quantiles?.[name] ?? 0) - odds(exact))).toBeLessThan(0.25);
  }
});

test('scores in the outermost bins lie between their borders and 0 or 1', () => {
  const bins = new Float64Array(SCORE_BINS);
  bins[0] = 1;
  bins[SCORE_BINS - 1] = 1;
  const quantiles = scoreQuantiles(bins);
  expect(quantiles?.p5).toBeLessThan(0.000_05);
  expect(quantiles?.p99).toBeGreaterThan(0.999_95);
  expect(quantiles?.p99).toBeLessThanOrEqual(1);
});
