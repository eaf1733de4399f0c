import type { OutcomeReport, PredictionReport } from '../../contracts/performanceReport.js';
import { sortedPairs } from './mergeable.js';
import { CALIBRATION_BINS, type OutcomeCounts } from './outcomeCounts.js';
import type { PredictionCounts } from './predictionCounts.js';
import { scoreQuantiles } from './scoreBins.js';

/** Names of the columns of a feature service; null where nobody knows them any more. */
export type ColumnsOf = (service: string) => readonly string[] | null;

/** The numbers that are told of counts of predictions. */
export function predictionReport(counts: PredictionCounts, columnsOf: ColumnsOf): PredictionReport {
  const { rows, served, failed, decisions, scores } = counts;
  return {
    rows,
    served,
    failed,
    decisionShares: Object.fromEntries(sortedPairs(decisions).map(([name, count]) => [name, count / rows])),
    scoreQuantiles: scoreQuantiles(scores),
    nullRates: nullRates(counts, columnsOf),
  };
}

/** By name: an input that several services have is one. */
function nullRates({ nulls }: PredictionCounts, columnsOf: ColumnsOf): Record<string, number> {
  const sums = new Map<string, { nulls: number; vectors: number }>();
  for (const [service, { vectors, columns }] of nulls) {
    const names = columnsOf(service) ?? Array.from(columns, (_, at) => `column_${at}`);
    for (const [at, name] of names.entries()) {
      const sum = sums.get(name) ?? { nulls: 0, vectors: 0 };
      sums.set(name, { nulls: sum.nulls + (columns[at] ?? 0), vectors: sum.vectors + vectors });
    }
  }
  const found = sortedPairs(sums).filter(([, sum]) => sum.nulls > 0);
  return Object.fromEntries(found.map(([name, sum]) => [name, sum.nulls / sum.vectors]));
}

/** The numbers that are told of counts of outcomes. */
export function outcomeReport({
  rows,
  sources,
  positives,
  logLoss,
  brier,
  calibration,
}: Pick<OutcomeCounts, 'rows' | 'sources' | 'positives' | 'logLoss' | 'brier' | 'calibration'>): OutcomeReport {
  const mean = (sum: number): number | null => (rows === 0 ? null : sum / rows);
  // A bin's weight times its means is the difference of its sums over all rows.
  let miscalibration = 0;
  for (let bin = 0; bin < CALIBRATION_BINS; bin++)
    miscalibration += Math.abs((calibration[3 * bin + 1] as number) - (calibration[3 * bin + 2] as number));
  const bySource = Object.fromEntries(sortedPairs(sources));
  return {
    rows,
    bySource,
    positives,
    labelRate: mean(positives),
    logLoss: mean(logLoss),
    brier: mean(brier),
    calibrationError: mean(miscalibration),
  };
}
