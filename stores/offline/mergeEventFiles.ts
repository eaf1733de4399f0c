import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { TidemillError } from '../../contracts/errors.js';
import { identifier, textLiteral } from '../../features/duckdb/sqlText.js';
import type { RunQuery } from './duckdbArchive.js';
import { contractFrom, contractsOf } from './eventFiles.js';
import { APPEND_TIME, parquet, REPLAY, withAppendTime } from './parquetFiles.js';

/**
 * Files as one, in the order of their offsets; an offset that several have is taken once. The columns stay what they are, and
 * so does what the files say about them.
 *
 * @throws TidemillError ARCHIVE_INCOMPATIBLE, ARCHIVE_OVERLAP
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
  await requireAgreement(run, files, { from, to });
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

/**
 * Two writers may have archived an offset, and the log has one record there: what they say of it is the same.
 *
 * @throws TidemillError ARCHIVE_OVERLAP
 */
async function requireAgreement(
  run: RunQuery,
  files: readonly string[],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  const range = `WHERE __offset >= ${from} AND __offset < ${to}`;
  const [counts] = await run(
    'archived files',
    `SELECT count(*) = count(DISTINCT __offset) FROM ${parquet(files, 'union_by_name = true')} ${range}`,
  );
  if (counts?.[0] === true) return;
  const columns = await run('archived files', `DESCRIBE SELECT * FROM ${parquet(files, 'union_by_name = true')}`);
  const extras: readonly string[] = [APPEND_TIME.name, REPLAY.name];
  const content = columns.flatMap(([name]) => (extras.includes(name as string) ? [] : [identifier(name as string)]));
  const [differing] = await run(
    'archived files',
    `SELECT CAST(__offset AS DOUBLE) FROM ${withAppendTime(files)} ${range} GROUP BY __offset
     HAVING count(DISTINCT ${APPEND_TIME.name}) > 1 OR count(DISTINCT hash(${content.join(', ')})) > 1
     ORDER BY __offset LIMIT 1`,
  );
  if (differing === undefined) return;
  const offset = differing[0] as number;
  const named = await run(
    'archived files',
    `SELECT DISTINCT filename FROM ${parquet(files, 'union_by_name = true', 'filename = true')}
     WHERE __offset = ${offset} ORDER BY filename`,
  );
  const contradicting = named.map(([file]) => file as string);
  throw new TidemillError(
    'ARCHIVE_OVERLAP',
    `offset ${offset} is another record in each of ${contradicting.join(', ')}`,
    { offset, files: contradicting },
  );
}
