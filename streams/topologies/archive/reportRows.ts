import type { ReportRecord } from '../../../contracts/performanceReport.js';
import type { CompiledField } from '../../../features/compiledView.js';
import type { Value } from '../../../features/types.js';
import type { BucketReport } from '../../../models/monitoring/dailyReports.js';
import { plainStream } from './plainStream.js';

type Kind = 'int' | 'double' | 'string' | 'timestamp';

/** A column of an archived report: where its value comes from. Numbers of a part that the report does not have are null. */
const COLUMNS: readonly (readonly [name: string, kind: Kind, valueOf: (report: ReportRecord) => Value | undefined])[] =
  [
    ['bucket_from', 'timestamp', ({ from }) => from],
    ['bucket_to', 'timestamp', ({ to }) => to],
    ['model', 'string', ({ model }) => model],
    ['version', 'int', ({ version }) => version],
    ['role', 'string', ({ role }) => role],
    ['from', 'timestamp', ({ from }) => from],
    ['to', 'timestamp', ({ to }) => to],
    ['generation', 'int', ({ generation }) => generation],
    ['revision', 'int', ({ revision }) => revision],
    ['rows', 'int', ({ predictions }) => predictions?.rows],
    ['served', 'int', ({ predictions }) => predictions?.served],
    ['failed', 'int', ({ predictions }) => predictions?.failed],
    ['score_p5', 'double', ({ predictions }) => predictions?.scoreQuantiles?.p5],
    ['score_p25', 'double', ({ predictions }) => predictions?.scoreQuantiles?.p25],
    ['score_p50', 'double', ({ predictions }) => predictions?.scoreQuantiles?.p50],
    ['score_p75', 'double', ({ predictions }) => predictions?.scoreQuantiles?.p75],
    ['score_p95', 'double', ({ predictions }) => predictions?.scoreQuantiles?.p95],
    ['score_p99', 'double', ({ predictions }) => predictions?.scoreQuantiles?.p99],
    ['labelled', 'int', ({ outcomes }) => outcomes?.rows],
    ['positives', 'int', ({ outcomes }) => outcomes?.positives],
    ['label_rate', 'double', ({ outcomes }) => outcomes?.labelRate],
    ['log_loss', 'double', ({ outcomes }) => outcomes?.logLoss],
    ['brier', 'double', ({ outcomes }) => outcomes?.brier],
    ['calibration_error', 'double', ({ outcomes }) => outcomes?.calibrationError],
    ['decision_shares', 'string', ({ predictions }) => jsonOrNull(predictions?.decisionShares)],
    ['null_rates', 'string', ({ predictions }) => jsonOrNull(predictions?.nullRates)],
    ['labels_by_source', 'string', ({ outcomes }) => jsonOrNull(outcomes?.bySource)],
    ['prediction_counts', 'string', ({ counts }) => jsonOrNull(counts.predictions)],
    ['outcome_counts', 'string', ({ counts }) => jsonOrNull(counts.outcomes)],
  ];

const IDENTIFYING_COLUMNS = 7;

/** Archived reports: a column for each number, and the counts as JSON. */
export const REPORT_STREAM = plainStream(
  'reports',
  COLUMNS.map(([name, kind], at): CompiledField => ({ name, type: { kind }, nullable: at >= IDENTIFYING_COLUMNS })),
);

const PLACES = new Map(COLUMNS.map(([name], at) => [name, at]));

export function reportRow(value: Buffer | null): readonly Value[] {
  const report = JSON.parse(value?.toString('utf8') ?? 'null') as ReportRecord;
  return COLUMNS.map(([, , valueOf]) => valueOf(report) ?? null);
}

/** A report from its row in the archive, as far as sums of several are made from it. */
export function archivedReport(values: readonly Value[]): BucketReport {
  const value = (name: string): Value => values[PLACES.get(name) as number] ?? null;
  const counts = (name: string): unknown => JSON.parse((value(name) as string | null) ?? 'null');
  return {
    from: value('bucket_from') as number,
    to: value('bucket_to') as number,
    version: value('version') as number,
    role: value('role') as ReportRecord['role'],
    generation: value('generation') as number,
    revision: value('revision') as number,
    counts: {
      predictions: counts('prediction_counts') as ReportRecord['counts']['predictions'],
      outcomes: counts('outcome_counts') as ReportRecord['counts']['outcomes'],
    },
  };
}

function jsonOrNull(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}
