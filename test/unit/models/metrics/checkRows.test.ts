import { expect, test } from 'vitest';
import { precisionAtTop } from '../../../../models/metrics/precisionAtTop.js';
import { brier, calibrationError, logLoss } from '../../../../models/metrics/probability.js';
import { averagePrecision, rocAuc } from '../../../../models/metrics/ranking.js';

const atTop = (labels: Float64Array, scores: Float64Array): number | null =>
  precisionAtTop(1, { labels, scores, days: [0, 0, 0], entities: [1, 2, 3] });

test.each([
  ['rocAuc', rocAuc],
  ['averagePrecision', averagePrecision],
  ['logLoss', logLoss],
  ['brier', brier],
  ['calibrationError', calibrationError],
  ['precisionAtTop', atTop],
])('%s refuses a score that is NaN instead of going on for ever or leaving the row out', (_, metric) => {
  expect(() => metric(Float64Array.of(0, 1, 1), Float64Array.of(0.1, Number.NaN, 0.3))).toThrow(/row 1 is NaN/);
  expect(() => metric(Float64Array.of(0, 1), Float64Array.of(0.1, 0.2, 0.3))).toThrow(/2 labels for 3 scores/);
});

test.each([
  ['logLoss', logLoss],
  ['brier', brier],
  ['calibrationError', calibrationError],
])('%s refuses what is no probability', (_, metric) => {
  for (const value of [-0.1, 1.1])
    expect(() => metric(Float64Array.of(1), Float64Array.of(value))).toThrow(`row 0 is ${value}`);
});

test('precision at the top leaves a found entity out on later days and breaks ties by the smaller entity', () => {
  const rows = {
    labels: Float64Array.of(1, 0, 1, 0, 1),
    scores: Float64Array.of(0.9, 0.8, 0.9, 0.5, 0.5),
    days: [0, 0, 1, 1, 1],
    entities: [7, 8, 7, 2, 1],
  };
  // Day 0: 7 is found. Day 1: 7 is left out; 1 and 2 are tied and 1 is looked at: found.
  expect(precisionAtTop(1, rows)).toBe(1);
  expect(precisionAtTop(1, { ...rows, entities: [7, 8, 7, 1, 2] })).toBe(0.5);
});

test('precision at the top looks at rows without an entity one by one, after entities of the same score', () => {
  const rows = {
    labels: Float64Array.of(1, 1, 0, 1, 1),
    scores: Float64Array.of(0.9, 0.9, 0.9, 0.9, 0.8),
    days: [0, 0, 0, 1, 1],
    entities: [null, null, 7, null, 8],
  };
  // Day 0: entity 7 comes first and is none; then the two rows, each by itself. Day 1: the row is not one found before.
  expect(precisionAtTop(1, rows)).toBe(0.5);
  expect(precisionAtTop(3, rows)).toBeCloseTo((2 / 3 + 2 / 3) / 2, 12);
});
