import type { OutcomeReport, PerformanceRow, PredictionReport } from '../contracts/performanceReport.js';
import { formatTable } from './output.js';
import { numberText } from './verdictTable.js';

/** A table for each day: the numbers of each version below one another, the versions side by side. */
export function performanceText(model: string, rows: readonly PerformanceRow[]): string {
  if (rows.length === 0) return `no reports on ${model} in that time`;
  const days = [...new Set(rows.map(({ from }) => from))];
  return days
    .map((day) =>
      dayText(
        day,
        rows.filter(({ from }) => from === day),
      ),
    )
    .join('\n\n');
}

function dayText(day: string, rows: readonly PerformanceRow[]): string {
  const versions = rows.map(linesOf);
  const names = [...new Set(versions.flatMap((lines) => [...lines.keys()]))];
  const header = [day.slice(0, 10), ...rows.map(({ version, role }) => `${version === 0 ? 'rules' : version} ${role}`)];
  return formatTable(
    header,
    names.map((name) => [name, ...versions.map((lines) => lines.get(name) ?? '')]),
  );
}

/** Numbers by their names, in the order in which they are shown. */
function linesOf({ predictions, outcomes }: PerformanceRow): Map<string, string> {
  return new Map([
    ...(predictions === null ? [] : said(predictions)),
    ...(outcomes === null ? [] : cameTrue(outcomes)),
  ]);
}

function said({
  rows,
  served,
  failed,
  decisionShares,
  scoreQuantiles,
  nullRates,
}: PredictionReport): [string, string][] {
  return [
    ['rows', String(rows)],
    ['served', String(served)],
    ['failed', String(failed)],
    ...Object.entries(decisionShares).map(([name, share]): [string, string] => [`share ${name}`, numberText(share)]),
    ...Object.entries(scoreQuantiles ?? {}).map(([name, score]): [string, string] => [
      `score ${name}`,
      numberText(score as number),
    ]),
    ...Object.entries(nullRates).map(([name, rate]): [string, string] => [`nulls ${name}`, numberText(rate)]),
  ];
}

function cameTrue({ rows, bySource, positives, ...metrics }: OutcomeReport): [string, string][] {
  const number = (value: number | null): string => (value === null ? '' : numberText(value));
  return [
    ['labelled', String(rows)],
    ...Object.entries(bySource).map(([source, count]): [string, string] => [`labels ${source}`, String(count)]),
    ['positives', String(positives)],
    ['label rate', number(metrics.labelRate)],
    ['log loss', number(metrics.logLoss)],
    ['Brier score', number(metrics.brier)],
    ['calibration error', number(metrics.calibrationError)],
  ];
}
