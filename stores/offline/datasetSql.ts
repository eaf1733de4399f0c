import { identifier, textLiteral } from '../../features/duckdb/sqlText.js';
import type { DatasetQuery } from './offlineStore.js';
import { parquet } from './parquetFiles.js';

/** A dataset as one query: see OfflineStore.joinDataset. Adds `__skewed`, true where event time has a served vector otherwise. */
export function datasetSql(query: DatasetQuery): string {
  const { vectors, service, labels, served } = query;
  const field = (at: number): string => identifier(labels.stream.fields[at]?.name ?? '');
  const [id, time] = [field(labels.stream.eventId), field(labels.stream.eventTime)];
  const servedColumns = vectors.columns.map((_, at) => `column_${at}`);
  const servedRows =
    served.length === 0
      ? `SELECT NULL::BIGINT AS id, NULL::BIGINT AS "at", ${servedColumns.map((column) => `NULL::DOUBLE AS ${column}`).join(', ')} WHERE false`
      : `SELECT id, "at", ${servedColumns.join(', ')} FROM ${parquet(served)} WHERE service = ${textLiteral(service.hash)}
           QUALIFY row_number() OVER (PARTITION BY id, "at" ORDER BY __partition, __offset) = 1`;
  const fields = Array.from({ length: vectors.fields }, (_, at) => `v.__field_${at}`);
  const columns = vectors.columns.map(
    (name, at) => `CASE WHEN s.id IS NULL THEN v.${identifier(name)} ELSE s.column_${at} END AS ${identifier(name)}`,
  );
  // A label counts from when it became known; of several the first record does.
  return `WITH known AS (SELECT ${id} AS id, CAST(${field(labels.field)} AS DOUBLE) AS label, ${time} AS known_at
        FROM ${parquet(labels.files)} WHERE ${time} <= ${query.labelCutOff}
        QUALIFY row_number() OVER (PARTITION BY ${id} ORDER BY ${time}, __partition, __offset) = 1),
      served AS (${servedRows})
      SELECT v.__time, v.__id, v.__entity, ${[...fields, ...columns].join(', ')},
        l.label AS __label, l.known_at AS __known_at, s.id IS NOT NULL AS __served,
        ${skewedSql(vectors.columns)} AS __skewed
      FROM ${parquet([vectors.file])} v JOIN known l ON l.id = v.__id
      LEFT JOIN served s ON s.id = v.__id AND s."at" = v.__time ORDER BY v.__time, v.__id`;
}

/** Sums of doubles agree between engines but for rounding: what is nearer than this share of the value is the same. */
const ROUNDING = 1e-9;

/** Is there a served row `s` whose columns differ from those of `v`, in event time? */
function skewedSql(columns: readonly string[]): string {
  const differs = columns.map((name, at) => {
    const [served, known] = [`s.column_${at}`, `v.${identifier(name)}`];
    const scale = `greatest(abs(${served}), abs(${known}), 1)`;
    return `(${served} IS NULL) <> (${known} IS NULL) OR coalesce(abs(${served} - ${known}) > ${ROUNDING} * ${scale}, false)`;
  });
  return `(s.id IS NOT NULL AND (${differs.join(' OR ') || 'false'}))`;
}
