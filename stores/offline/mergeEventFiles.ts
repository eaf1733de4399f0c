import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { TidemillError } from '../../contracts/errors.js';
import { textLiteral } from '../../features/duckdb/sqlText.js';
import type { RunQuery } from './duckdbArchive.js';
import { contractFrom, contractsOf } from './eventFiles.js';
import { parquet } from './parquetFiles.js';

/**
 * Files as one, in the order of their offsets; an offset that several have is taken once. The columns stay what they are, and
 * so does what the files say about them.
 */
export async function mergeEventFiles(
  run: RunQuery,
  files: readonly string[],
  { from, to }: { readonly from: number; readonly to: number },
  output: string,
): Promise<number> {
  const contracts = [...(await contractsOf(run, 'archived files', files)).keys()];
  const [contract = null] = contracts;
  if (contracts.length > 1) {
    throw new TidemillError(
      'ARCHIVE_INCOMPATIBLE',
      `${files[0] ?? ''} and others were written by different contracts`,
      {
        files,
      },
    );
  }
  const unfinished = `${output}.${randomUUID()}.unfinished`;
  const settings = ['FORMAT parquet', ...(contract === null ? [] : [contractFrom(contract)])];
  const rows = `SELECT DISTINCT ON (__offset) * FROM ${parquet(files, 'union_by_name = true')}
    WHERE __offset >= ${from} AND __offset < ${to} ORDER BY __offset`;
  try {
    const [copied] = await run('merge', `COPY (${rows}) TO ${textLiteral(unfinished)} (${settings.join(', ')})`);
    await rename(unfinished, output);
    return Number(copied?.[0]);
  } finally {
    await rm(unfinished, { force: true });
  }
}
