import { assert } from '../../contracts/errors.js';

/**
 * Holds what every metric takes for granted. A score that is NaN has no rank, and a comparison with it never holds: a
 * metric over it would be wrong without a word, or never end.
 *
 * @throws Error where labels and scores differ in length, or a score is NaN: a defect of the caller, since the scoring
 * engine and the trainers let none through.
 */
export function checkRows(labels: Float64Array, scores: Float64Array): void {
  assert(labels.length === scores.length, `${labels.length} labels for ${scores.length} scores`);
  const at = scores.findIndex(Number.isNaN);
  assert(at === -1, `the score of row ${at} is NaN`);
}

/** The same for probabilities, which lie in [0, 1]. */
export function checkProbabilities(labels: Float64Array, probabilities: Float64Array): void {
  checkRows(labels, probabilities);
  const at = probabilities.findIndex((probability) => probability < 0 || probability > 1);
  assert(at === -1, `the probability of row ${at} is ${probabilities[at]}`);
}
