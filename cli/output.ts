import { isTidemillError, messageOf } from '../contracts/errors.js';

/** One error for people (`CODE: message`, then what to do) or for programs (one JSON object), on stderr. */
export function printError(error: unknown, json: boolean): void {
  if (json) {
    const object = isTidemillError(error) ? error.toJSON() : { code: 'INTERNAL', message: messageOf(error) };
    console.error(JSON.stringify({ error: object }));
  } else if (isTidemillError(error)) console.error(`${error.code}: ${error.message}\n  ${error.action}`);
  else console.error(error instanceof Error ? error.stack : messageOf(error));
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
