import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  BOOLEAN,
  DOUBLE,
  DuckDBDataChunk,
  VARCHAR,
  type DuckDBConnection,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api';
import { identifier, textLiteral } from '../../features/duckdb/sqlText.js';
import type { Value } from '../../features/types.js';

/** Kept with every event, beside the columns that values depend on. */
export const APPEND_TIME = { name: '__appended_at', type: 'BIGINT' } as const;

/** Header of a replayed dead letter, null in every other row: it decides what a topology makes of the event. */
export const REPLAY = { name: '__replay', type: 'VARCHAR' } as const;

/** Rows per chunk: DuckDB's vector size. */
const CHUNK_ROWS = 2_048;

/**
 * Writes a file of rows. Integers travel as doubles, which hold every safe integer, and are cast by the COPY. The file
 * appears under its name only when it is whole.
 */
export async function writeParquet(
  connection: DuckDBConnection,
  path: string,
  columns: readonly { readonly name: string; readonly type: string }[],
  rows: number,
  valueAt: (row: number, column: number) => Value,
  ...settings: readonly string[]
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const table = identifier(`write_${randomUUID()}`);
  const held = columns.map(({ type }): DuckDBType =>
    type === 'BOOLEAN' ? BOOLEAN : type === 'VARCHAR' ? VARCHAR : DOUBLE,
  );
  await connection.run(
    `CREATE TEMP TABLE ${table} (${columns.map(({ name }, at) => `${identifier(name)} ${String(held[at])}`).join(', ')})`,
  );
  const unfinished = `${path}.${randomUUID()}.unfinished`;
  try {
    const appender = await connection.createAppender(table.slice(1, -1));
    for (let start = 0; start < rows; start += CHUNK_ROWS) {
      const size = Math.min(CHUNK_ROWS, rows - start);
      const chunk = DuckDBDataChunk.create(held, size);
      for (let column = 0; column < columns.length; column++) {
        const values = new Array<DuckDBValue>(size);
        for (let row = 0; row < size; row++) values[row] = valueAt(start + row, column);
        chunk.setColumnValues(column, values);
      }
      chunk.rowCount = size;
      appender.appendDataChunk(chunk);
    }
    appender.closeSync();
    const select = columns
      .map(({ name, type }) => `CAST(${identifier(name)} AS ${type}) AS ${identifier(name)}`)
      .join(', ');
    await connection.run(
      `COPY (SELECT ${select} FROM ${table}) TO ${textLiteral(unfinished)} (${['FORMAT parquet', ...settings].join(', ')})`,
    );
    await rename(unfinished, path);
  } finally {
    await connection.run(`DROP TABLE ${table}`);
    await rm(unfinished, { force: true });
  }
}

/** Files as one relation. */
export function parquet(files: readonly string[], ...options: readonly string[]): string {
  return `read_parquet([${files.map(textLiteral).join(', ')}]${options.map((option) => `, ${option}`).join('')})`;
}

/** The same, of whatever age: files from before append times were kept have null there. */
export function withAppendTime(files: readonly string[]): string {
  return `(SELECT * FROM ${parquet(files, 'union_by_name = true')}
    UNION ALL BY NAME SELECT NULL::${APPEND_TIME.type} AS ${APPEND_TIME.name} WHERE false)`;
}

/** A value as it is held in memory: integers come from DuckDB as bigints. */
export function toValue(value: DuckDBValue | undefined): Value {
  if (value === undefined || value === null) return null;
  return typeof value === 'bigint' ? Number(value) : (value as Value);
}
