import type { EncodedOutcomeCounts, LabelSource } from '../../contracts/performanceReport.js';
import { rowLogLoss } from '../metrics/probability.js';
import { addTo, exactly, sortedPairs, type Mergeable } from './mergeable.js';

/** Bins of equal width, as those of the calibration error of models/metrics. */
export const CALIBRATION_BINS = 10;

/** What became of a version's predictions, as counts; a label that is revised is taken away again. */
export class OutcomeCounts implements Mergeable<OutcomeCounts> {
  readonly sources = new Map<LabelSource, number>();
  positives = 0;
  logLoss = 0;
  brier = 0;
  /** By bin: rows, sum of scores, positives. */
  readonly calibration = new Float64Array(3 * CALIBRATION_BINS);

  /** Rows whose label can be trusted. */
  get rows(): number {
    return (this.sources.get('natural') ?? 0) + (this.sources.get('absence') ?? 0);
  }

  get isEmpty(): boolean {
    const { sources, positives, logLoss, brier, calibration } = this;
    return (
      sources.size === 0 && positives === 0 && logLoss === 0 && brier === 0 && calibration.every((sum) => sum === 0)
    );
  }

  /** @param times 1 for a label that is known now, -1 for one that no longer counts. */
  add(score: number, label: number, source: LabelSource, times: 1 | -1): void {
    addTo(this.sources, source, times);
    // The decision kept the truth from showing.
    if (source === 'censored') return;
    const isPositive = label === 1 ? times : 0;
    this.positives += isPositive;
    this.logLoss += times * exactly(rowLogLoss(label, score));
    this.brier += times * exactly((label - score) ** 2);
    const bin = 3 * Math.min(Math.floor(score * CALIBRATION_BINS), CALIBRATION_BINS - 1);
    const { calibration } = this;
    calibration[bin] = (calibration[bin] as number) + times;
    calibration[bin + 1] = (calibration[bin + 1] as number) + times * exactly(score);
    calibration[bin + 2] = (calibration[bin + 2] as number) + isPositive;
  }

  merge(other: OutcomeCounts, times: 1 | -1 = 1): void {
    for (const [source, rows] of other.sources) addTo(this.sources, source, times * rows);
    this.positives += times * other.positives;
    this.logLoss += times * other.logLoss;
    this.brier += times * other.brier;
    for (let at = 0; at < this.calibration.length; at++)
      this.calibration[at] = (this.calibration[at] as number) + times * (other.calibration[at] as number);
  }

  encode(): EncodedOutcomeCounts {
    const calibration: [number, number, number, number][] = [];
    for (let bin = 0; bin < CALIBRATION_BINS; bin++) {
      const [rows = 0, scores = 0, positives = 0] = this.calibration.subarray(3 * bin, 3 * bin + 3);
      if (rows !== 0 || scores !== 0 || positives !== 0) calibration.push([bin, rows, scores, positives]);
    }
    const { positives, logLoss, brier } = this;
    return { sources: sortedPairs(this.sources), positives, logLoss, brier, calibration };
  }
}

export function decodeOutcomeCounts(encoded: EncodedOutcomeCounts): OutcomeCounts {
  const counts = new OutcomeCounts();
  for (const [source, rows] of encoded.sources) counts.sources.set(source, rows);
  counts.positives = encoded.positives;
  counts.logLoss = encoded.logLoss;
  counts.brier = encoded.brier;
  for (const [bin, rows, scores, positives] of encoded.calibration)
    counts.calibration.set([rows, scores, positives], 3 * bin);
  return counts;
}
