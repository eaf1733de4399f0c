import type { VectorMatrix } from '../../stores/offline/offlineStore.js';

/** Ranges of event time, each [from, to). */
export interface Split {
  /** Rows that the evaluation fit learns from. */
  readonly train: readonly [from: number, to: number];
  /** Rows that it is tested on, later than all that it learned from. */
  readonly test: readonly [from: number, to: number];
  /** Rows that the release fit learns from: all of them. */
  readonly release: readonly [from: number, to: number];
}

/** Window of requests that a dataset must cover so that it can be split. */
export function datasetWindow(
  labelledUpTo: number,
  split: { readonly trainMs: number; readonly testMs: number },
  labelDelayMs: number,
  onset: number | null,
): { from: number; to: number } {
  const to = labelledUpTo;
  const from = to - split.testMs - labelDelayMs - split.trainMs;
  return { from: onset === null ? from : Math.min(from, onset - split.trainMs), to };
}

/**
 * Splits a dataset in time.
 *
 * Normally a gap of the label delay lies between training and test: when the test rows were made, later labels were not
 * known. After drift there is none: the test part holds the newest rows with about half of the positives made after the
 * onset, and the training part, which ends where it begins, the other half.
 *
 *   normal:   [ train 7 d ][ gap 7 d ][ test 7 d ]
 *   drift:    [ train 7 d    onset ·· half ][ other half ]
 */
export function splitDataset(
  matrix: Pick<VectorMatrix, 'rows' | 'times' | 'labels'>,
  window: { readonly from: number; readonly to: number },
  split: { readonly trainMs: number; readonly testMs: number },
  labelDelayMs: number,
  onset: number | null,
): Split {
  const { to } = window;
  if (onset === null) {
    const testFrom = to - split.testMs;
    const trainTo = testFrom - labelDelayMs;
    const trainFrom = trainTo - split.trainMs;
    return { train: [trainFrom, trainTo], test: [testFrom, to], release: [trainFrom, to] };
  }
  const positives: number[] = [];
  for (let row = 0; row < matrix.rows; row++) {
    if ((matrix.times[row] as number) >= onset && matrix.labels?.[row] === 1)
      positives.push(matrix.times[row] as number);
  }
  const middle = positives[Math.floor(positives.length / 2)] ?? to;
  const trainFrom = middle - split.trainMs;
  return { train: [trainFrom, middle], test: [middle, to], release: [trainFrom, to] };
}

/** Row numbers [from, to) of a range; rows are in time order. */
export function rowsOf(
  matrix: Pick<VectorMatrix, 'rows' | 'times'>,
  [from, to]: readonly [number, number],
): { start: number; end: number } {
  let start = 0;
  while (start < matrix.rows && (matrix.times[start] as number) < from) start++;
  let end = start;
  while (end < matrix.rows && (matrix.times[end] as number) < to) end++;
  return { start, end };
}
