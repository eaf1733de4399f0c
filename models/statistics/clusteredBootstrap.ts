import { seededRandom } from './random.js';

/**
 * Paired bootstrap of the difference of a ranking metric between two models on the same rows, clustered: whole entities
 * are drawn with replacement, since the rows of one entity are alike.
 *
 *   clusters 1, 2, 3 -> draw 3, 1, 3 -> rows of 3 count twice, of 1 once, of 2 not at all -> metric(A) - metric(B)
 *
 * A draw only changes the weights of rows, so the rows are sorted once per model.
 */
export interface BootstrapInput {
  readonly labels: Float64Array;
  /** Scores of the candidate and of the model that it is compared with. */
  readonly candidate: Float64Array;
  readonly reference: Float64Array;
  /** Cluster of each row, 0 to clusters - 1. */
  readonly cluster: Int32Array;
  readonly clusters: number;
  readonly metric: 'average_precision' | 'auc';
  readonly seed: number;
  /** @default 2000 */
  readonly resamples?: number;
}

export interface BootstrapResult {
  /** Difference on the rows as they are. */
  readonly difference: number;
  readonly candidate: number;
  readonly reference: number;
  readonly standardDeviation: number;
  /** Differences of the resamples, ascending. */
  readonly differences: Float64Array;
}

export function clusteredBootstrap(input: BootstrapInput): BootstrapResult {
  const resamples = input.resamples ?? 2_000;
  const random = seededRandom(input.seed);
  const [candidate, reference] = [rank(input, input.candidate), rank(input, input.reference)];
  const metric = input.metric === 'auc' ? weightedAuc : weightedAveragePrecision;
  const weights = new Int32Array(input.clusters).fill(1);
  const whole = { candidate: metric(candidate, weights), reference: metric(reference, weights) };
  const differences: number[] = [];
  for (let sample = 0; sample < resamples; sample++) {
    weights.fill(0);
    for (let draw = 0; draw < input.clusters; draw++) {
      const cluster = random.below(input.clusters);
      weights[cluster] = (weights[cluster] as number) + 1;
    }
    const difference = metric(candidate, weights) - metric(reference, weights);
    // A draw without positives says nothing.
    if (!Number.isNaN(difference)) differences.push(difference);
  }
  const sorted = Float64Array.from(differences).sort();
  return {
    difference: whole.candidate - whole.reference,
    candidate: whole.candidate,
    reference: whole.reference,
    standardDeviation: standardDeviation(sorted),
    differences: sorted,
  };
}

/** Quantile by linear interpolation between order statistics of ascending values; NaN of none. */
export function quantile(ascending: Float64Array, probability: number): number {
  const position = probability * (ascending.length - 1);
  const low = Math.floor(position);
  const [below, above] = [ascending[low], ascending[Math.ceil(position)]];
  return below === undefined || above === undefined ? Number.NaN : below + (above - below) * (position - low);
}

/** Rows by descending score. */
interface Ranking {
  readonly labels: Uint8Array;
  readonly cluster: Int32Array;
  /** 1 where the next row has another score: the end of a group of ties. */
  readonly ends: Uint8Array;
}

function rank({ labels, cluster }: BootstrapInput, scores: Float64Array): Ranking {
  const order = Uint32Array.from(scores.keys()).sort((a, b) => (scores[b] as number) - (scores[a] as number));
  return {
    labels: Uint8Array.from(order, (row) => labels[row] as number),
    cluster: Int32Array.from(order, (row) => cluster[row] as number),
    ends: Uint8Array.from(order, (row, at) =>
      at + 1 < order.length && scores[order[at + 1] as number] === scores[row] ? 0 : 1,
    ),
  };
}

function weightedAveragePrecision({ labels, cluster, ends }: Ranking, weights: Int32Array): number {
  let [seen, hits, gained, sum] = [0, 0, 0, 0];
  for (let at = 0; at < labels.length; at++) {
    const weight = weights[cluster[at] as number] as number;
    seen += weight;
    if (labels[at] === 1) gained += weight;
    if (ends[at] === 0 || gained === 0) continue;
    hits += gained;
    sum += gained * (hits / seen);
    gained = 0;
  }
  return sum / hits;
}

function weightedAuc({ labels, cluster, ends }: Ranking, weights: Int32Array): number {
  let [positives, negatives, gained, lost, area] = [0, 0, 0, 0, 0];
  for (let at = 0; at < labels.length; at++) {
    const weight = weights[cluster[at] as number] as number;
    if (labels[at] === 1) gained += weight;
    else lost += weight;
    if (ends[at] === 0) continue;
    area += lost * (positives + gained / 2);
    positives += gained;
    negatives += lost;
    [gained, lost] = [0, 0];
  }
  return area / (positives * negatives);
}

function standardDeviation(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
