import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { TidemillError } from '../../contracts/errors.js';
import { DAY_MS } from '../../contracts/duration.js';
import { textLiteral } from '../../features/duckdb/sqlText.js';

/**
 * The Fraud Detection Handbook's transactions as this project's events: `transactions` keyed by customer, and one label
 * per transaction that is known seven days later.
 */
export interface HandbookFiles {
  readonly transactions: string;
  readonly labels: string;
}

/** A label becomes known this long after its transaction. */
export const LABEL_DELAY_MS = 7 * DAY_MS;

/** Runs SQL on a DuckDB of its own. */
export async function withDuckdb<T>(use: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return await use(connection);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/**
 * Turns `transactions-*.parquet` of the handbook's format into event files in `output`.
 *
 * @throws TidemillError OFFLINE_FILE_INVALID where the folder has no such files.
 */
export async function handbookEvents(directory: string, output: string): Promise<HandbookFiles> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => /^transactions-.*\.parquet$/.test(name));
  if (names.length === 0) {
    throw new TidemillError('OFFLINE_FILE_INVALID', `${directory} has no file transactions-*.parquet`, { directory });
  }
  const source = `read_parquet([${names
    .sort()
    .map((name) => textLiteral(join(directory, name)))
    .join(', ')}])`;
  const files = { transactions: join(output, 'transactions.parquet'), labels: join(output, 'fraud-labels.parquet') };
  const common = `CAST(transaction_id AS BIGINT) AS id, CAST(epoch_ms(tx_datetime) AS BIGINT)`;
  const place = `0::INTEGER AS __partition, CAST(row_number() OVER (ORDER BY transaction_id) - 1 AS BIGINT) AS __offset`;
  await withDuckdb(async (connection) => {
    await connection.run(`COPY (SELECT ${common} AS at, CAST(customer_id AS BIGINT) AS customer,
      CAST(terminal_id AS BIGINT) AS terminal, CAST(tx_amount * 100 AS BIGINT) AS amount, ${place}
      FROM ${source} ORDER BY transaction_id) TO ${textLiteral(files.transactions)} (FORMAT parquet)`);
    await connection.run(`COPY (SELECT ${common} + ${LABEL_DELAY_MS} AS at, CAST(customer_id AS BIGINT) AS customer,
      CAST(terminal_id AS BIGINT) AS terminal, tx_fraud = 1 AS fraud, ${place}
      FROM ${source} ORDER BY transaction_id) TO ${textLiteral(files.labels)} (FORMAT parquet)`);
  });
  return files;
}

/** The handbook's own names of the service's columns. */
export const HANDBOOK_COLUMNS: Readonly<Record<string, string>> = {
  amount: 'TX_AMOUNT',
  weekend: 'TX_DURING_WEEKEND',
  night: 'TX_DURING_NIGHT',
  transactions_1d: 'CUSTOMER_ID_NB_TX_1DAY_WINDOW',
  transactions_7d: 'CUSTOMER_ID_NB_TX_7DAY_WINDOW',
  transactions_30d: 'CUSTOMER_ID_NB_TX_30DAY_WINDOW',
  average_amount_1d: 'CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW',
  average_amount_7d: 'CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW',
  average_amount_30d: 'CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW',
  labelled_1d: 'TERMINAL_ID_NB_TX_1DAY_WINDOW',
  labelled_7d: 'TERMINAL_ID_NB_TX_7DAY_WINDOW',
  labelled_30d: 'TERMINAL_ID_NB_TX_30DAY_WINDOW',
  risk_1d: 'TERMINAL_ID_RISK_1DAY_WINDOW',
  risk_7d: 'TERMINAL_ID_RISK_7DAY_WINDOW',
  risk_30d: 'TERMINAL_ID_RISK_30DAY_WINDOW',
};

/** The handbook's inputs by transaction, in the order of `columns`. */
export interface HandbookInputs {
  readonly ids: Float64Array;
  /** Row-major. */
  readonly values: Float64Array;
}

/** @throws TidemillError OFFLINE_FILE_INVALID where a column is missing. */
export async function readHandbookInputs(file: string, columns: readonly string[]): Promise<HandbookInputs> {
  const names = columns.map((column) => {
    const name = HANDBOOK_COLUMNS[column];
    if (name === undefined) throw new Error(`invariant broken: the handbook has no column for ${column}`);
    return name;
  });
  return withDuckdb(async (connection) => {
    const select = ['TRANSACTION_ID', ...names].map((name) => `CAST("${name}" AS DOUBLE)`).join(', ');
    let rows;
    try {
      const reader = await connection.runAndReadAll(
        `SELECT ${select} FROM read_parquet(${textLiteral(file)}) ORDER BY TRANSACTION_ID`,
      );
      rows = reader.getRows() as number[][];
    } catch (error) {
      throw new TidemillError('OFFLINE_FILE_INVALID', `${file}: ${String(error)}`, { file }, { cause: error });
    }
    const ids = new Float64Array(rows.length);
    const values = new Float64Array(rows.length * names.length);
    for (const [at, row] of rows.entries()) {
      ids[at] = row[0] as number;
      for (let column = 0; column < names.length; column++)
        values[at * names.length + column] = row[column + 1] as number;
    }
    return { ids, values };
  });
}
