import { checkProbabilities } from './checkRows.js';

/** Metrics of probabilities. Null over no rows. */

/** Mean negative log-likelihood, natural logarithm; probabilities are clipped to [1e-15, 1 - 1e-15]. */
export function logLoss(labels: Float64Array, probabilities: Float64Array): number | null {
  checkProbabilities(labels, probabilities);
  if (labels.length === 0) return null;
  let sum = 0;
  for (let row = 0; row < labels.length; row++) sum += rowLogLoss(labels[row] as number, probabilities[row] as number);
  return sum / labels.length;
}

export function rowLogLoss(label: number, probability: number): number {
  const clipped = Math.min(Math.max(probability, 1e-15), 1 - 1e-15);
  return label === 1 ? -Math.log(clipped) : -Math.log(1 - clipped);
}

/** Mean squared error of probabilities. */
export function brier(labels: Float64Array, probabilities: Float64Array): number | null {
  checkProbabilities(labels, probabilities);
  if (labels.length === 0) return null;
  let sum = 0;
  for (let row = 0; row < labels.length; row++) sum += ((labels[row] as number) - (probabilities[row] as number)) ** 2;
  return sum / labels.length;
}

/** Expected calibration error over ten bins of equal width: weighted mean of |mean probability - share of positives|. */
export function calibrationError(labels: Float64Array, probabilities: Float64Array): number | null {
  checkProbabilities(labels, probabilities);
  if (labels.length === 0) return null;
  const [positives, sums] = [new Float64Array(10), new Float64Array(10)];
  for (let row = 0; row < labels.length; row++) {
    const bin = Math.min(Math.floor((probabilities[row] as number) * 10), 9);
    positives[bin] = (positives[bin] as number) + (labels[row] as number);
    sums[bin] = (sums[bin] as number) + (probabilities[row] as number);
  }
  // A bin's weight times its means is the difference of its sums over all rows.
  let error = 0;
  for (let bin = 0; bin < 10; bin++) error += Math.abs((sums[bin] as number) - (positives[bin] as number));
  return error / labels.length;
}
