import type { OutcomeRecord, PredictionRecord, ScoreRole } from '../../contracts/records.js';
import type { BucketTally } from './bucketTally.js';
import type { OutcomeCounts } from './outcomeCounts.js';
import type { PredictionCounts } from './predictionCounts.js';

/** Counts a prediction for every version that was asked. */
export function countPrediction(tally: BucketTally<PredictionCounts>, prediction: PredictionRecord): void {
  const { at, version, role, others } = prediction;
  tally.cell(at, version, role).addServed(prediction);
  for (const other of others) tally.cell(at, other.version, other.role).addOther(other);
}

/** Counts an outcome for every version that has a score of it; what a revision replaces is taken away. */
export function countOutcome(tally: BucketTally<OutcomeCounts>, outcome: OutcomeRecord): void {
  const { at, version, role, score, others } = outcome;
  countLabel(tally.cell(at, version, role), score, outcome);
  const otherRole = roleOfOthers(role);
  for (const other of others) countLabel(tally.cell(at, other.version, otherRole), other.score, outcome);
}

function countLabel(counts: OutcomeCounts, score: number, outcome: OutcomeRecord): void {
  const { label, source, revision } = outcome;
  if (revision > 0) {
    const { label: before, source: sourceBefore } = outcome.replaces ?? assumedBefore(outcome);
    counts.add(score, before, sourceBefore, -1);
  }
  counts.add(score, label, source, 1);
}

/** Outcomes did not always say what they replace; of two labels it was the other one. */
function assumedBefore({ label, source }: OutcomeRecord): Pick<OutcomeRecord, 'label' | 'source'> {
  return { label: label === 1 ? 0 : 1, source };
}

/**
 * What the others with a score are: where a fallback answered, the champion had none, so they are challengers, as where the
 * champion did.
 */
function roleOfOthers(role: ScoreRole): ScoreRole {
  return role === 'challenger' ? 'champion' : 'challenger';
}
