import type { ScoreQuantiles } from '../../contracts/performanceReport.js';

/**
 * Bins of scores with fixed borders, so that counts of any two histograms add up. They are of equal width in log-odds, since
 * scores of rare events lie close to 0, where bins of equal width would hold them all in one:
 *
 *   bin       0        1          …  41        …  80        81
 *   log-odds  < -10    -10 … -9.75    0 … 0.25    9.75…10   >= 10
 *   score     < .00005                .5 … .56              >= .99995
 */
const LEAST = -10;
const WIDTH = 0.25;
const INNER_BINS = 80;
export const SCORE_BINS = INNER_BINS + 2;

/** @param score 0..1 */
export function scoreBin(score: number): number {
  const logOdds = Math.log(score / (1 - score));
  if (logOdds < LEAST) return 0;
  return Math.min(Math.floor((logOdds - LEAST) / WIDTH), INNER_BINS) + 1;
}

/** Null where the histogram is empty. */
export function scoreQuantiles(bins: Float64Array): ScoreQuantiles | null {
  const rows = bins.reduce((sum, count) => sum + count, 0);
  if (rows === 0) return null;
  const quantile = (share: number): number => quantileOf(bins, share * rows);
  return {
    p5: quantile(0.05),
    p25: quantile(0.25),
    p50: quantile(0.5),
    p75: quantile(0.75),
    p95: quantile(0.95),
    p99: quantile(0.99),
  };
}

/** The score below which so many rows lie, as if those of a bin were spread evenly. */
function quantileOf(bins: Float64Array, wanted: number): number {
  let below = 0;
  for (let bin = 0; bin < SCORE_BINS; bin++) {
    const count = bins[bin] as number;
    if (below + count >= wanted && count > 0) {
      const [low, high] = [border(bin), border(bin + 1)];
      return low + ((high - low) * (wanted - below)) / count;
    }
    below += count;
  }
  return 1;
}

/** Least score of a bin. */
function border(bin: number): number {
  if (bin === 0) return 0;
  if (bin === SCORE_BINS) return 1;
  return 1 / (1 + Math.exp(-(LEAST + (bin - 1) * WIDTH)));
}
