import type { VerdictReport } from '../contracts/modelReport.js';
import { formatRows } from './output.js';

/** Verdicts of gates with the numbers that they rest on. */
export function verdictTable(verdicts: readonly VerdictReport[]): string {
  if (verdicts.length === 0) return 'none';
  return formatRows(
    verdicts,
    {
      gate: ({ gate }) => gate,
      against: ({ kind }) => kind,
      verdict: ({ verdict }) => verdict,
      value: ({ value }) => numberText(value),
      interval: ({ low, high }) => (low === null || high === null ? '' : `[${numberText(low)}, ${numberText(high)}]`),
      bound: ({ bound }) => numberText(bound),
      rows: ({ rows }) => String(rows),
      positives: ({ positives }) => String(positives),
      reason: ({ reason }) => reason,
    },
    'table',
  );
}

/** Four digits are enough to compare by eye; whole numbers are shown whole. */
export function numberText(value: number | null | undefined): string {
  if (value === null || value === undefined) return '';
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
