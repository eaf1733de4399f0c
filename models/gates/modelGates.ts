import type { AbsoluteGate, ComparativeGate, MetricName } from '../definition.js';
import { brier, calibrationError, logLoss } from '../metrics/probability.js';
import { precisionAtTop } from '../metrics/precisionAtTop.js';
import { averagePrecision, rocAuc } from '../metrics/ranking.js';
import { clusteredBootstrap, quantile } from '../statistics/clusteredBootstrap.js';
import type { Verdict } from './verdict.js';

/** Rows on which a model is judged. */
export interface TestRows {
  readonly labels: Float64Array;
  readonly days: Int32Array;
  readonly entities: readonly (number | string)[];
}

/** One-sided error of a comparison. */
export const ALPHA = 0.05;

/** Fewer positives say nothing about a ranking. */
const MIN_POSITIVES = 20;

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

/** Judges a metric against a fixed bound. */
export function judgeAbsolute(gate: AbsoluteGate, rows: TestRows, scores: Float64Array): Verdict {
  const positives = count(rows.labels);
  const value = positives < MIN_POSITIVES ? null : measure(gate.metric, rows, scores);
  const holds = value === null ? null : gate.kind === 'atLeast' ? value >= gate.bound : value <= gate.bound;
  return {
    gate: `${gate.kind}(${gate.metric}, ${gate.bound})`,
    kind: 'absolute',
    verdict: holds === null ? 'inconclusive' : holds ? 'pass' : 'fail',
    value,
    low: null,
    high: null,
    bound: gate.bound,
    rows: rows.labels.length,
    positives,
    look: 1,
    reason: value === null ? `${positives} positives are too few to tell` : `${gate.metric} is ${value.toFixed(4)}`,
  };
}

/**
 * Compares candidate and reference on the same rows by paired bootstrap clustered by entity.
 *
 * - notWorse passes where the difference is above -margin with one-sided confidence 95 %, fails where it is below so.
 * - superior passes where it is above 0, fails where it is below.
 *
 * Everything between is inconclusive.
 */
export function judgeComparative(
  gate: ComparativeGate,
  against: 'champion' | 'baseline',
  rows: TestRows,
  candidate: Float64Array,
  reference: Float64Array,
  seed: number,
): Verdict {
  const positives = count(rows.labels);
  const bound = gate.kind === 'superior' ? 0 : -gate.margin;
  const head = {
    gate: gate.kind === 'superior' ? `superior(${gate.metric})` : `notWorse(${gate.metric}, ${gate.margin})`,
    kind: against,
    bound,
    rows: rows.labels.length,
    positives,
    look: 1,
  };
  if (positives < MIN_POSITIVES || positives === rows.labels.length) {
    return {
      ...head,
      verdict: 'inconclusive',
      value: null,
      low: null,
      high: null,
      reason: `${positives} positives are too few to tell`,
    };
  }
  const { cluster, clusters } = clustersOf(rows.entities);
  const result = clusteredBootstrap({
    labels: rows.labels,
    candidate,
    reference,
    cluster,
    clusters,
    metric: gate.metric,
    seed,
  });
  const [low, high] = [quantile(result.differences, ALPHA), quantile(result.differences, 1 - ALPHA)];
  return {
    ...head,
    verdict: low > bound ? 'pass' : high < bound ? 'fail' : 'inconclusive',
    value: result.difference,
    low,
    high,
    reason: `${gate.metric} ${result.candidate.toFixed(4)} against ${result.reference.toFixed(4)}: difference ${result.difference.toFixed(4)} in [${low.toFixed(4)}, ${high.toFixed(4)}]`,
  };
}

/** A comparison that has nobody to compare with: decided before any data is read. */
export function notApplicable(gate: ComparativeGate): Verdict {
  return {
    gate: `${gate.kind}(${gate.metric})`,
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

function count(labels: Float64Array): number {
  return labels.reduce((sum, label) => sum + label, 0);
}

function clustersOf(entities: readonly (number | string)[]): { cluster: Int32Array; clusters: number } {
  const numbers = new Map<number | string, number>();
  const cluster = Int32Array.from(entities, (entity) => {
    let number = numbers.get(entity);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(entity, number);
    }
    return number;
  });
  return { cluster, clusters: numbers.size };
}
