import { isTidemillError, messageOf } from '../contracts/errors.js';

/** Forms of a result: aligned columns for people, one JSON value, or one JSON object a line. */
export const FORMATS = ['table', 'json', 'jsonl'] as const;
export type Format = (typeof FORMATS)[number];

/** Where a command writes, a line or more at a time. */
export interface Console {
  out(text: string): void;
  error(text: string): void;
  /** Shows what goes on in one line that the next text replaces; absent where nobody watches. */
  readonly show?: (text: string) => void;
  /** Asks a question and gives the answer; absent where nobody is there to answer. */
  readonly ask?: (question: string) => Promise<string>;
}

/** What to do about a defect. */
const REPORT = 'Report it with the command line.';

/** One error: `CODE: message` and what to do, or `{error: {code, message, hint, details}}` for programs. */
export function formatError(error: unknown, format: Format): string {
  if (format !== 'table') {
    const object = isTidemillError(error)
      ? error.toJSON()
      : { code: 'INTERNAL', message: messageOf(error), hint: REPORT };
    return JSON.stringify({ error: object });
  }
  if (isTidemillError(error)) return `${error.code}: ${error.message}\n  ${error.action}`;
  return `INTERNAL: ${messageOf(error)}\n  ${REPORT}`;
}

/** A list of equal objects: every property as it is for programs, the named columns for people. */
export function formatRows<Row extends object>(
  rows: readonly Row[],
  columns: Readonly<Record<string, (row: Row) => string>>,
  format: Format,
): string {
  if (format === 'json') return JSON.stringify(rows);
  if (format === 'jsonl') return rows.map((row) => JSON.stringify(row)).join('\n');
  return formatTable(
    Object.keys(columns),
    rows.map((row) => Object.values(columns).map((cell) => cell(row))),
  );
}

/** Rows as an aligned table. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)));
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
