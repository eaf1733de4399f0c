import { DAY_MS } from '../../contracts/duration.js';
import type { PerformanceRow, ReportRecord } from '../../contracts/performanceReport.js';
import { decodeOutcomeCounts, OutcomeCounts } from './outcomeCounts.js';
import { outcomeReport, predictionReport, type ColumnsOf } from './performanceReport.js';
import { decodePredictionCounts, PredictionCounts } from './predictionCounts.js';

/** What sums are made from. */
export type BucketReport = Pick<
  ReportRecord,
  'version' | 'role' | 'from' | 'to' | 'generation' | 'revision' | 'counts'
>;

interface Day {
  readonly day: number;
  readonly version: number;
  readonly role: ReportRecord['role'];
  predictions: PredictionCounts | null;
  outcomes: OutcomeCounts | null;
}

/** What counts of each bucket: of either part the newest that there is. */
export function newestReports(reports: Iterable<BucketReport>): BucketReport[] {
  const newest = new Map<string, BucketReport>();
  const sorted = [...reports].sort((a, b) => a.generation - b.generation || a.revision - b.revision);
  for (const report of sorted) {
    const name = `${report.version}/${report.role}/${report.from}`;
    const { predictions, outcomes } = report.counts;
    const before = newest.get(name)?.counts;
    const counts = {
      predictions: predictions ?? before?.predictions ?? null,
      outcomes: outcomes ?? before?.outcomes ?? null,
    };
    newest.set(name, { ...report, counts });
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
