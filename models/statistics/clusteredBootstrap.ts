import { assert } from '../../contracts/errors.js';
import { seededRandom } from './random.js';
import { rankScores, weightedMetric, type RankedScores, type RankMetric } from './rankedScores.js';

/**
 * Bootstrap of a metric, or of the difference of two models on the same rows, clustered by an entity: rows of one
 * customer resemble each other, so whole customers are drawn, with replacement, as many as there are. Both models see
 * the same draw; what they have in common cancels.
 *
 * Each model's rows are sorted once. A draw is a weight per cluster, and a metric under weights is one pass.
 */
export interface BootstrapOptions {
  /** 0 or 1 per row. */
  readonly labels: ArrayLike<number>;
  /** The entity of each row; a row with null is a cluster of its own. */
  readonly clusters: ArrayLike<number | string | null>;
  readonly metric: RankMetric;
  /** Draws. @default 2000 */
  readonly resamples?: number;
  /** Name the candidate, champion, dataset, gate and look in it: others may then repeat the very draws. */
  readonly seed: string | number;
}

export interface BootstrapSample {
  readonly metric: RankMetric;
  /** On the rows themselves. */
  readonly value: number;
  /** Over the draws in which the metric is defined. */
  readonly mean: number;
  readonly sd: number;
  /** Those draws, ascending. */
  readonly sorted: Float64Array;
  readonly resamples: number;
  /** Draws without a positive or, for AUC, without a negative. */
  readonly undefinedResamples: number;
  readonly rows: number;
  readonly positives: number;
  readonly clusters: number;
  /** Clusters with a positive. */
  readonly positiveClusters: number;
}

/** `value`, `mean`, `sd` and `sorted` are those of the difference a - b. */
export interface PairedBootstrapSample extends BootstrapSample {
  readonly valueA: number;
  readonly valueB: number;
}

export const DEFAULT_RESAMPLES = 2_000;

/** The difference of the metric, a - b. Scores must be finite. */
export function pairedClusteredBootstrap(
  options: BootstrapOptions & { readonly scoresA: ArrayLike<number>; readonly scoresB: ArrayLike<number> },
): PairedBootstrapSample {
  const { labels, metric } = options;
  const clusters = indexClusters(options.clusters);
  const a = rankScores(labels, options.scoresA, clusters.indexes);
  const b = rankScores(labels, options.scoresB, clusters.indexes);
  const once = new Int32Array(clusters.count).fill(1);
  const valueA = weightedMetric(metric, a, once);
  const valueB = weightedMetric(metric, b, once);
  const sample = resample(options, clusters.count, a, (weights) => {
    return weightedMetric(metric, a, weights) - weightedMetric(metric, b, weights);
  });
  return { ...sample, value: valueA - valueB, valueA, valueB };
}

/** The metric of one model. Scores must be finite. */
export function clusteredBootstrap(
  options: BootstrapOptions & { readonly scores: ArrayLike<number> },
): BootstrapSample {
  const clusters = indexClusters(options.clusters);
  const ranked = rankScores(options.labels, options.scores, clusters.indexes);
  return resample(options, clusters.count, ranked, (weights) => weightedMetric(options.metric, ranked, weights));
}

function resample(
  options: BootstrapOptions,
  clusters: number,
  ranked: RankedScores,
  statistic: (weights: Int32Array) => number,
): BootstrapSample {
  const resamples = options.resamples ?? DEFAULT_RESAMPLES;
  assert(Number.isSafeInteger(resamples) && resamples >= 2, `${resamples} resamples are at least 2`);
  const random = seededRandom(options.seed);
  const weights = new Int32Array(clusters);
  const draws = new Float64Array(resamples);
  let defined = 0;
  for (let draw = 0; draw < resamples && clusters > 0; draw++) {
    weights.fill(0);
    for (let count = 0; count < clusters; count++) {
      const cluster = random.below(clusters);
      weights[cluster] = (weights[cluster] as number) + 1;
    }
    const value = statistic(weights);
    if (!Number.isNaN(value)) draws[defined++] = value;
  }
  const sorted = draws.slice(0, defined).sort();
  let sum = 0;
  for (const value of sorted) sum += value;
  const mean = sum / defined;
  let squares = 0;
  for (const value of sorted) squares += (value - mean) * (value - mean);
  return {
    metric: options.metric,
    value: statistic(weights.fill(1)),
    mean,
    sd: Math.sqrt(squares / (defined - 1)),
    sorted,
    resamples,
    undefinedResamples: resamples - defined,
    rows: ranked.rows,
    positives: ranked.positiveClusters.length,
    clusters,
    positiveClusters: new Set(ranked.positiveClusters).size,
  };
}

/** Quantile of ascending values by linear interpolation between order statistics; NaN of none. */
export function quantileOf(sorted: ArrayLike<number>, probability: number): number {
  if (sorted.length === 0) return Number.NaN;
  const place = probability * (sorted.length - 1);
  const below = Math.min(Math.max(Math.floor(place), 0), sorted.length - 1);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (high - low) * Math.min(Math.max(place - below, 0), 1);
}

/** Consecutive numbers for entities, in order of appearance. */
export function indexClusters(entities: ArrayLike<number | string | null>): {
  readonly indexes: Int32Array;
  readonly count: number;
} {
  const indexes = new Int32Array(entities.length);
  const known = new Map<number | string, number>();
  let count = 0;
  for (let row = 0; row < entities.length; row++) {
    const entity = entities[row] ?? null;
    let index = entity === null ? undefined : known.get(entity);
    if (index === undefined) {
      index = count++;
      if (entity !== null) known.set(entity, index);
    }
    indexes[row] = index;
  }
  return { indexes, count };
}
