import type { DuckDBValue } from '@duckdb/node-api';
import type { CompiledField, CompiledStream } from '../../features/compiledView.js';
import { literalSql } from '../../features/duckdb/lowerExpression.js';
import { eventColumns } from '../../features/duckdb/lowerService.js';
import { identifier, integerLiteral, textLiteral } from '../../features/duckdb/sqlText.js';
import type { EventId, LoggedEvent, Value } from '../../features/types.js';
import type {
  ArchivedText,
  ArchiveReader,
  KeyedEvents,
  KeyQuery,
  ServedQuery,
  ServedRow,
  ServedSample,
} from './archiveReader.js';
import { contractsOf, eventFiles } from './eventFiles.js';
import { APPEND_TIME, parquet, toValue, withAppendTime } from './parquetFiles.js';

/** Runs one query; `what` names it in errors. */
export type RunQuery = (what: string, sql: string) => Promise<DuckDBValue[][]>;

/** Queries of the archive in DuckDB. */
export function duckdbArchive(run: RunQuery): ArchiveReader {
  return {
    async eventsAt(stream, files, places) {
      if (files.length === 0 || places.length === 0) return [];
      const wanted = places.map(({ partition, offset }) => `(${partition}, ${offset})`).join(', ');
      const sql = `SELECT ${columnsOf(stream)} FROM ${await eventFiles(run, stream, files)}
        WHERE (__partition, __offset) IN (VALUES ${wanted})`;
      return (await run(stream.name, sql)).map((row) => eventOf(stream, row));
    },
    async lastRow(files) {
      if (files.length === 0) return null;
      const [row] = await run(
        'archived files',
        `SELECT CAST(__offset AS DOUBLE), CAST(${APPEND_TIME.name} AS DOUBLE)
         FROM (SELECT __offset, ${APPEND_TIME.name} FROM ${withAppendTime(files)}) ORDER BY __offset DESC LIMIT 1`,
      );
      return row === undefined ? null : { offset: row[0] as number, appendedAt: row[1] as number | null };
    },
    async contractsOf(files) {
      if (files.length === 0) return new Map();
      const contracts = await contractsOf(run, 'archived files', files);
      return new Map([...contracts].flatMap(([contract, group]) => group.map((file) => [file, contract] as const)));
    },
    eventsOfKeys: (query) => eventsOfKeys(run, query),
    sampleServed: (query) => sampleServed(run, query),
    async textsOf(files, keys): Promise<readonly ArchivedText[]> {
      if (files.length === 0 || keys.length === 0) return [];
      const sql = `SELECT key, value, CAST(appended_at AS DOUBLE) FROM ${parquet(files, 'union_by_name = true')}
        WHERE key IN (SELECT unnest([${keys.map(textLiteral).join(', ')}])) AND value IS NOT NULL`;
      return (await run('archived records', sql)).map(([key, text, appendedAt]) => {
        return { key: key as string, text: text as string, appendedAt: appendedAt as number };
      });
    },
  };
}

/**
 * 1 the times of the files, which are one column of them: most files have no event that counts; 2 the events, each with
 * the greatest time before it.
 */
async function eventsOfKeys(run: RunQuery, query: KeyQuery): Promise<KeyedEvents> {
  const { stream, files, field, keys, from, to, after, until } = query;
  if (files.length === 0) return { newest: null, events: [] };
  const time = identifier(nameOf(stream, stream.eventTime));
  const range = `__offset >= ${integerLiteral(from)} AND __offset < ${integerLiteral(to)}`;
  const events = await eventFiles(run, stream, files);
  // 1
  const [times] = await run(
    stream.name,
    `SELECT CAST(min(${time}) AS DOUBLE), CAST(max(${time}) AS DOUBLE) FROM ${events} WHERE ${range}`,
  );
  const [oldest, newest] = [times?.[0] as number | null, times?.[1] as number | null];
  if (oldest === null || newest === null || oldest > until || newest <= after || keys.length === 0)
    return { newest, events: [] };
  // 2
  const { type } = stream.fields[field] as CompiledField;
  const sql = `SELECT ${columnsOf(stream)}, CAST(__before AS DOUBLE) FROM (
      SELECT *, max(${time}) OVER (ORDER BY __offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS __before
      FROM ${events} WHERE ${range})
    WHERE ${time} > ${integerLiteral(after)} AND ${time} <= ${integerLiteral(until)}
      AND ${identifier(nameOf(stream, field))} IN (SELECT unnest([${keys.map((key) => literalSql(type, key)).join(', ')}]))
    ORDER BY __offset`;
  const rows = await run(stream.name, sql);
  return {
    newest,
    events: rows.map((row) => ({ event: eventOf(stream, row), newestBefore: row.at(-1) as number | null })),
  };
}

/** What the files of older definitions lack is null in them. */
async function sampleServed(run: RunQuery, query: ServedQuery): Promise<ServedSample> {
  const { files, ends, from, to, columns, size, seed } = query;
  if (files.length === 0) return { rows: new Map(), sample: [] };
  const vector = Array.from({ length: columns }, (_, at) => `column_${at}`);
  const nulls = vector.map((name) => `NULL::DOUBLE AS ${name}`);
  const read = Object.entries(ends).map(
    ([partition, end]) => `(__partition = ${Number(partition)} AND __offset < ${end})`,
  );
  const served = `WITH served AS (
    SELECT * FROM ${parquet(files, 'union_by_name = true')}
    UNION ALL BY NAME SELECT ${[`NULL::${APPEND_TIME.type} AS ${APPEND_TIME.name}`, ...nulls].join(', ')} WHERE false),
    ranged AS (SELECT * FROM served WHERE "at" >= ${integerLiteral(from)} AND "at" < ${integerLiteral(to)}
      AND (${read.join(' OR ') || 'false'}))`;
  const counts = await run(
    'predictions',
    `${served} SELECT service, CAST(count(*) AS DOUBLE) FROM ranged GROUP BY service`,
  );
  const whole = ['"at"', 'request_partition', 'request_offset', APPEND_TIME.name, 'version'];
  const rows = await run(
    'predictions',
    `${served} SELECT id, cut, service, ${[...whole.map((name) => `CAST(${name} AS DOUBLE)`), ...vector].join(', ')}
     FROM ranged WHERE service <> ''
     ORDER BY md5(${textLiteral(`${seed}:`)} || request_partition || ':' || request_offset) LIMIT ${size}`,
  );
  return {
    rows: new Map(counts.map(([service, count]) => [service as string, count as number])),
    sample: rows.map(([id, cut, service, at, partition, offset, appendedAt, version, ...values]): ServedRow => ({
      id: toValue(id) as EventId,
      at: at as number,
      partition: partition as number,
      offset: offset as number,
      cut: cut as string | null,
      service: service as string,
      vector: values as (number | null)[],
      isByRules: version === 0,
      appendedAt: appendedAt as number | null,
    })),
  };
}

function nameOf(stream: CompiledStream, field: number): string {
  return (stream.fields[field] as CompiledField).name;
}

/** Integers as doubles, which hold every safe one. */
function columnsOf(stream: CompiledStream): string {
  return eventColumns(stream)
    .map(({ name, type }) =>
      type === 'BIGINT' || type === 'INTEGER' ? `CAST(${identifier(name)} AS DOUBLE)` : identifier(name),
    )
    .join(', ');
}

function eventOf(stream: CompiledStream, row: readonly DuckDBValue[]): LoggedEvent {
  const fields = stream.fields.length;
  const values = row.slice(0, fields) as Value[];
  return {
    time: values[stream.eventTime] as number,
    id: values[stream.eventId] as EventId,
    values,
    partition: row[fields] as number,
    offset: row[fields + 1] as number,
  };
}
