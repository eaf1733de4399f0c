import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DAY_MS } from '../../../contracts/duration.js';
import { TidemillError } from '../../../contracts/errors.js';
import { textLiteral } from '../../../features/duckdb/sqlText.js';
import { GENERATOR_START, type GeneratedTransaction } from '../generator/generateFraud.js';
import { withDuckdb } from '../handbook.js';

/**
 * The handbook's own transactions (`transactions-*.parquet`), day by day from 2018-04-01, in place of generated ones.
 *
 * @throws TidemillError OFFLINE_FILE_INVALID where the folder has no such files.
 */
export async function handbookDays(
  directory: string,
  days: number,
): Promise<{ day: number; transactions: GeneratedTransaction[] }[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => /^transactions-.*\.parquet$/.test(name));
  if (names.length === 0) {
    throw new TidemillError('OFFLINE_FILE_INVALID', `${directory} has no file transactions-*.parquet`, { directory });
  }
  const files = names.sort().map((name) => textLiteral(join(directory, name)));
  const byDay = Array.from({ length: days }, (_, day) => ({ day, transactions: [] as GeneratedTransaction[] }));
  await withDuckdb(async (connection) => {
    const result = await connection.stream(
      `SELECT CAST(transaction_id AS DOUBLE), CAST(epoch_ms(tx_datetime) AS DOUBLE), CAST(customer_id AS DOUBLE),
        CAST(terminal_id AS DOUBLE), CAST(tx_amount * 100 AS DOUBLE), CAST(tx_fraud_scenario AS DOUBLE)
      FROM read_parquet([${files.join(', ')}])
      WHERE epoch_ms(tx_datetime) < ${GENERATOR_START + days * DAY_MS} ORDER BY transaction_id`,
    );
    for (
      let chunk = await result.fetchChunk();
      chunk !== null && chunk.rowCount > 0;
      chunk = await result.fetchChunk()
    ) {
      for (const [id, at, customer, terminal, amount, scenario] of chunk.getRows() as number[][]) {
        const day = Math.floor(((at as number) - GENERATOR_START) / DAY_MS);
        byDay[day]?.transactions.push({
          id: id as number,
          at: at as number,
          customer: customer as number,
          terminal: terminal as number,
          amount: Math.round(amount as number),
          fraud: scenario !== 0,
          scenario: scenario as number,
        });
      }
    }
  });
  return byDay;
}
