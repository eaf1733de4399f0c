import { describe, expect, test } from 'vitest';
import { datasetWindow, rowsOf, splitDataset } from '../../../activities/dataset/splitDataset.js';

const DAY = 86_400_000;
const split = { trainMs: 7 * DAY, testMs: 7 * DAY };

describe('a dataset', () => {
  test('is split with a gap of the label delay: nothing is learned that was not known when the test rows were made', () => {
    const window = datasetWindow(60 * DAY, split, 7 * DAY, null);
    expect(window).toEqual({ from: 39 * DAY, to: 60 * DAY });
    const matrix = { rows: 0, times: new Float64Array(0), labels: new Float64Array(0) };
    expect(splitDataset(matrix, window, split, 7 * DAY, null)).toEqual({
      train: [39 * DAY, 46 * DAY],
      test: [53 * DAY, 60 * DAY],
      release: [39 * DAY, 60 * DAY],
    });
  });

  test('after drift is split in the middle of the positives after the onset, without a gap', () => {
    const onset = 50 * DAY;
    // One row an hour; every fourth is positive.
    const times = Float64Array.from({ length: 240 }, (_, row) => 45 * DAY + row * 3_600_000);
    const labels = Float64Array.from({ length: 240 }, (_, row) => (row % 4 === 0 ? 1 : 0));
    const window = datasetWindow(55 * DAY, split, 7 * DAY, onset);
    expect(window.from).toBeLessThanOrEqual(onset - split.trainMs);
    const matrix = { rows: 240, times, labels };
    const result = splitDataset(matrix, window, split, 7 * DAY, onset);
    expect(result.train[1]).toBe(result.test[0]);
    expect(result.train[1]).toBeGreaterThan(onset);
    const positives = (range: readonly [number, number]): number => {
      const { start, end } = rowsOf(matrix, range);
      return labels.subarray(start, end).reduce((sum, label) => sum + label, 0);
    };
    expect(
      Math.abs(positives([onset, result.train[1]]) - positives(result.test as [number, number])),
    ).toBeLessThanOrEqual(1);
  });
});
