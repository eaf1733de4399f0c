import type { AbsoluteGate, ComparativeGate, MetricName } from '../definition.js';
import { brier, calibrationError, logLoss } from '../metrics/probability.js';
import { precisionAtTop } from '../metrics/precisionAtTop.js';
import { averagePrecision, rocAuc } from '../metrics/ranking.js';
import { clusteredBootstrap, DEFAULT_RESAMPLES, pairedClusteredBootstrap } from '../statistics/clusteredBootstrap.js';
import { confidenceBounds, SINGLE_LOOK, type Looks } from './confidence.js';
import type { Verdict } from './verdict.js';

/** Rows on which a model is judged. */
export interface TestRows {
  readonly labels: Float64Array;
  readonly days: Int32Array;
  /** The entity of each row; a row with null resembles no other. */
  readonly entities: readonly (number | string | null)[];
}

/** Rows on which two models are compared; one without an entity is a cluster of its own. */
export interface ComparedRows {
  readonly labels: Float64Array;
  readonly entities: readonly (number | string | null)[];
}

export interface ComparisonOptions {
  /** Draws of the bootstrap. @default 2000 */
  readonly resamples?: number;
  /** @default one look */
  readonly looks?: Looks;
}

/** Fewer positives say nothing about a ranking. */
const MIN_POSITIVES = 20;
/** Nor do positives of a few entities, however many they are. */
const MIN_POSITIVE_ENTITIES = 10;
/** Share of draws that may leave the metric undefined. */
const MAX_UNDEFINED_SHARE = 0.01;

export function measure(metric: MetricName, { labels, days, entities }: TestRows, scores: Float64Array): number | null {
  switch (metric) {
    case 'auc':
      return rocAuc(labels, scores);
    case 'average_precision':
      return averagePrecision(labels, scores);
    case 'log_loss':
      return logLoss(labels, scores);
    case 'brier':
      return brier(labels, scores);
    case 'calibration_error':
      return calibrationError(labels, scores);
    case 'precision_at_100':
      return precisionAtTop(100, { labels, scores, days, entities });
  }
}

/**
 * Judges a metric against a fixed bound. The value decides; its interval is given for information where `seed` is given
 * and the metric is one of ranking.
 */
export function judgeAbsolute(
  gate: AbsoluteGate,
  rows: TestRows,
  scores: Float64Array,
  seed: number | string | null = null,
): Verdict {
  const { metric } = gate;
  const positives = count(rows.labels);
  const value = positives < MIN_POSITIVES ? null : measure(metric, rows, scores);
  const measured = value === null || Number.isNaN(value) ? null : value;
  const holds = measured === null ? null : gate.kind === 'atLeast' ? measured >= gate.bound : measured <= gate.bound;
  const isRanking = metric === 'auc' || metric === 'average_precision';
  const interval =
    measured === null || seed === null || !isRanking
      ? { low: null, high: null }
      : confidenceBounds(clusteredBootstrap({ labels: rows.labels, scores, clusters: rows.entities, metric, seed }));
  return {
    gate: `${gate.kind}(${metric}, ${gate.bound})`,
    kind: 'absolute',
    verdict: holds === null ? 'inconclusive' : holds ? 'pass' : 'fail',
    value: measured,
    ...interval,
    bound: gate.bound,
    rows: rows.labels.length,
    positives,
    look: 1,
    reason: measured === null ? `${positives} positives are too few to tell` : `${metric} is ${measured.toFixed(4)}`,
  };
}

/**
 * Compares candidate and reference on the same rows by paired bootstrap clustered by entity.
 *
 * - notWorse passes where the difference is above -margin with one-sided confidence 95 %, fails where it is below so.
 * - superior passes where it is above 0, fails where it is below.
 *
 * Everything between is inconclusive, and so is what rests on too little.
 *
 * @param seed from candidate, reference, dataset, gate and look: whoever repeats the comparison gets the same numbers.
 */
export function judgeComparative(
  gate: ComparativeGate,
  against: 'champion' | 'baseline',
  rows: ComparedRows,
  candidate: Float64Array,
  reference: Float64Array,
  seed: number | string,
  options: ComparisonOptions = {},
): Verdict {
  const { metric } = gate;
  const { looks = SINGLE_LOOK, resamples = DEFAULT_RESAMPLES } = options;
  const positives = count(rows.labels);
  const bound = gate.kind === 'superior' ? 0 : -gate.margin;
  const head = {
    gate: nameOf(gate),
    kind: against,
    bound,
    rows: rows.labels.length,
    positives,
    look: looks.look,
  };
  const inconclusive = (reason: string): Verdict => {
    return { ...head, verdict: 'inconclusive', value: null, low: null, high: null, reason };
  };
  if (positives < MIN_POSITIVES) return inconclusive(`${positives} positives are too few to tell`);
  if (positives === rows.labels.length) return inconclusive('there are no negatives');

  const sample = pairedClusteredBootstrap({
    labels: rows.labels,
    scoresA: candidate,
    scoresB: reference,
    clusters: rows.entities,
    metric,
    resamples,
    seed,
  });
  if (sample.positiveClusters < MIN_POSITIVE_ENTITIES) {
    return inconclusive(`${positives} positives of ${sample.positiveClusters} entities are too few to tell`);
  }
  if (sample.undefinedResamples > MAX_UNDEFINED_SHARE * resamples) {
    return inconclusive(`${metric} is not defined in ${sample.undefinedResamples} of ${resamples} draws`);
  }
  const { low, high } = confidenceBounds(sample, looks);
  const digits = (value: number): string => value.toFixed(4);
  return {
    ...head,
    verdict: low > bound ? 'pass' : high < bound ? 'fail' : 'inconclusive',
    value: sample.value,
    low,
    high,
    reason: `${metric} ${digits(sample.valueA)} against ${digits(sample.valueB)}: difference ${digits(sample.value)} in [${digits(low)}, ${digits(high)}]`,
  };
}

/** A comparison that has nobody to compare with: decided before any data is read. */
export function notApplicable(gate: ComparativeGate): Verdict {
  return {
    gate: nameOf(gate),
    kind: 'champion',
    verdict: 'notApplicable',
    value: null,
    low: null,
    high: null,
    bound: null,
    rows: 0,
    positives: 0,
    look: 1,
    reason: 'there is no champion yet',
  };
}

function nameOf(gate: ComparativeGate): string {
  return gate.kind === 'superior' ? `superior(${gate.metric})` : `notWorse(${gate.metric}, ${gate.margin})`;
}

function count(labels: Float64Array): number {
  return labels.reduce((sum, label) => sum + label, 0);
}
