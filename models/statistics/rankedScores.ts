import { assert } from '../../contracts/errors.js';

/**
 * Rows of a binary test set in order of falling score, laid out so that a metric under any weights of the clusters is
 * one pass over the rows and no sorting.
 *
 *     score    .9   .8   .8   .5   .2        stops: groups of equal scores that hold a positive
 *     label     0    1    0    0    1        stop 0: rows 1..2, stop 1: row 4
 *     cluster   a    b    a    c    b        positiveClusters: b | b
 */
export interface RankedScores {
  readonly rows: number;
  /** Cluster of each row, by falling score. */
  readonly clusters: Int32Array;
  /** First row, end of rows and end of positives of each stop. */
  readonly stopStarts: Int32Array;
  readonly stopEnds: Int32Array;
  readonly positiveEnds: Int32Array;
  readonly positiveClusters: Int32Array;
}

export type RankMetric = 'average_precision' | 'auc';

/** @param clusters index of each row's cluster, as of `indexClusters`. */
export function rankScores(labels: ArrayLike<number>, scores: ArrayLike<number>, clusters: Int32Array): RankedScores {
  const rows = labels.length;
  assert(scores.length === rows && clusters.length === rows, `${rows} labels have as many scores and clusters`);
  const order = new Uint32Array(rows);
  const values = Float64Array.from(scores);
  for (let row = 0; row < rows; row++) {
    const label = labels[row];
    assert(label === 0 || label === 1, `label ${label} of row ${row} is 0 or 1`);
    assert(Number.isFinite(values[row]), `score ${values[row]} of row ${row} is finite`);
    order[row] = row;
  }
  order.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);

  const ranked = new Int32Array(rows);
  const stopStarts: number[] = [];
  const stopEnds: number[] = [];
  const positiveEnds: number[] = [];
  const positiveClusters: number[] = [];
  for (let start = 0; start < rows;) {
    const score = values[order[start] as number];
    const positivesBefore = positiveClusters.length;
    let end = start;
    for (; end < rows && values[order[end] as number] === score; end++) {
      const row = order[end] as number;
      const cluster = clusters[row] as number;
      ranked[end] = cluster;
      if (labels[row] === 1) positiveClusters.push(cluster);
    }
    if (positiveClusters.length > positivesBefore) {
      stopStarts.push(start);
      stopEnds.push(end);
      positiveEnds.push(positiveClusters.length);
    }
    start = end;
  }
  return {
    rows,
    clusters: ranked,
    stopStarts: Int32Array.from(stopStarts),
    stopEnds: Int32Array.from(stopEnds),
    positiveEnds: Int32Array.from(positiveEnds),
    positiveClusters: Int32Array.from(positiveClusters),
  };
}

/** A metric with every row counted as often as its cluster's weight says; NaN where it is not defined. Hot. */
export function weightedMetric(metric: RankMetric, ranked: RankedScores, weights: Int32Array): number {
  return metric === 'average_precision' ? weightedAveragePrecision(ranked, weights) : weightedAuc(ranked, weights);
}

/** Sum over distinct scores of (recall gained) x (precision there). */
function weightedAveragePrecision(ranked: RankedScores, weights: Int32Array): number {
  const { clusters, stopEnds, positiveEnds, positiveClusters } = ranked;
  let row = 0;
  let total = 0;
  let positive = 0;
  let positives = 0;
  let sum = 0;
  for (let stop = 0; stop < stopEnds.length; stop++) {
    const end = stopEnds[stop] as number;
    for (; row < end; row++) total = (total + (weights[clusters[row] as number] as number)) | 0;
    const positiveEnd = positiveEnds[stop] as number;
    let here = 0;
    for (; positive < positiveEnd; positive++) here += weights[positiveClusters[positive] as number] as number;
    if (here === 0) continue;
    positives += here;
    sum += (here * positives) / total;
  }
  return positives === 0 ? Number.NaN : sum / positives;
}

/** Share of pairs (positive, negative) in which the positive has the greater score; ties count half. */
function weightedAuc(ranked: RankedScores, weights: Int32Array): number {
  const { rows, clusters, stopStarts, stopEnds, positiveEnds, positiveClusters } = ranked;
  let row = 0;
  let total = 0;
  let positive = 0;
  let positives = 0;
  // Negatives above each positive, summed over positives.
  let above = 0;
  for (let stop = 0; stop < stopEnds.length; stop++) {
    const start = stopStarts[stop] as number;
    for (; row < start; row++) total = (total + (weights[clusters[row] as number] as number)) | 0;
    const negativesAbove = total - positives;
    const totalAbove = total;
    const end = stopEnds[stop] as number;
    for (; row < end; row++) total = (total + (weights[clusters[row] as number] as number)) | 0;
    const positiveEnd = positiveEnds[stop] as number;
    let here = 0;
    for (; positive < positiveEnd; positive++) here += weights[positiveClusters[positive] as number] as number;
    positives += here;
    above += here * (negativesAbove + (total - totalAbove - here) / 2);
  }
  for (; row < rows; row++) total = (total + (weights[clusters[row] as number] as number)) | 0;
  const negatives = total - positives;
  return positives === 0 || negatives === 0 ? Number.NaN : 1 - above / positives / negatives;
}
