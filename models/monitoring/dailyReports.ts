import { DAY_MS } from '../../contracts/duration.js';
import type { PerformanceRow, ReportRecord } from '../../contracts/performanceReport.js';
import { decodeOutcomeCounts, OutcomeCounts } from './outcomeCounts.js';
import { outcomeReport, predictionReport, type ColumnsOf } from './performanceReport.js';
import { decodePredictionCounts, PredictionCounts } from './predictionCounts.js';

/** What sums are made from. */
export type BucketReport = Pick<ReportRecord, 'version' | 'role' | 'from' | 'to' | 'revision' | 'counts'>;

interface Day {
  readonly day: number;
  readonly version: number;
  readonly role: ReportRecord['role'];
  predictions: PredictionCounts | null;
  outcomes: OutcomeCounts | null;
}

/** The report of each bucket that counts: the one with the greatest revision. */
export function newestReports<Report extends BucketReport>(reports: Iterable<Report>): Report[] {
  const newest = new Map<string, Report>();
  for (const report of reports) {
    const name = `${report.version}/${report.role}/${report.from}`;
    const known = newest.get(name);
    if (known === undefined || known.revision < report.revision) newest.set(name, report);
  }
  return [...newest.values()];
}

/**
 * Reports of buckets as one row for each day (UTC), version and role, in this order.
 *
 * @param reports all revisions of them, in any order.
 */
export function dailyReports(model: string, reports: Iterable<BucketReport>, columnsOf: ColumnsOf): PerformanceRow[] {
  const days = new Map<string, Day>();
  for (const { version, role, from, counts } of newestReports(reports)) {
    const day = Math.floor(from / DAY_MS);
    const name = `${day}/${version}/${role}`;
    const known = days.get(name) ?? { day, version, role, predictions: null, outcomes: null };
    days.set(name, known);
    if (counts.predictions !== null)
      (known.predictions ??= new PredictionCounts()).merge(decodePredictionCounts(counts.predictions));
    if (counts.outcomes !== null) (known.outcomes ??= new OutcomeCounts()).merge(decodeOutcomeCounts(counts.outcomes));
  }
  return [...days.values()]
    .sort((a, b) => a.day - b.day || a.version - b.version || (a.role < b.role ? -1 : 1))
    .map(({ day, version, role, predictions, outcomes }) => ({
      from: new Date(day * DAY_MS).toISOString(),
      to: new Date((day + 1) * DAY_MS).toISOString(),
      model,
      version,
      role,
      predictions: predictions === null ? null : predictionReport(predictions, columnsOf),
      outcomes: outcomes === null ? null : outcomeReport(outcomes),
    }));
}
