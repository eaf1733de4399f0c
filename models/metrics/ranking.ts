import { checkRows } from './checkRows.js';

/** Metrics of a ranking by scores: labels are 0 or 1, ties in the scores are treated as one group. */

/** Indices of rows by descending score. */
function byScore(scores: Float64Array): Uint32Array {
  const order = new Uint32Array(scores.length);
  for (let at = 0; at < order.length; at++) order[at] = at;
  return order.sort((a, b) => (scores[b] as number) - (scores[a] as number));
}

/**
 * Average precision: sum over thresholds of precision times the gain in recall, without interpolation.
 *
 * @returns null without positives.
 */
export function averagePrecision(labels: Float64Array, scores: Float64Array): number | null {
  checkRows(labels, scores);
  const order = byScore(scores);
  let positives = 0;
  for (const label of labels) positives += label;
  if (positives === 0) return null;
  let hits = 0;
  let sum = 0;
  for (let at = 0; at < order.length;) {
    const score = scores[order[at] as number];
    let gained = 0;
    let end = at;
    for (; end < order.length && scores[order[end] as number] === score; end++)
      gained += labels[order[end] as number] as number;
    hits += gained;
    sum += (gained / positives) * (hits / end);
    at = end;
  }
  return sum;
}

/** Area under the ROC curve: the chance that a positive is scored above a negative, ties counting half. Null without both. */
export function rocAuc(labels: Float64Array, scores: Float64Array): number | null {
  checkRows(labels, scores);
  const order = byScore(scores);
  let above = 0;
  let area = 0;
  let negatives = 0;
  for (let at = 0; at < order.length;) {
    const score = scores[order[at] as number];
    let [gained, lost] = [0, 0];
    for (; at < order.length && scores[order[at] as number] === score; at++) {
      if (labels[order[at] as number] === 1) gained++;
      else lost++;
    }
    area += lost * (above + gained / 2);
    above += gained;
    negatives += lost;
  }
  return above === 0 || negatives === 0 ? null : area / (above * negatives);
}
