import { identifier, textLiteral } from '../../features/duckdb/sqlText.js';
import type { DatasetQuery } from './offlineStore.js';
import { parquet } from './parquetFiles.js';

/**
 * The rows of a dataset: each request whose label is known by the cut-off, with the vector that was served where one was.
 *
 *   vectors ─┬─ newest label that came in time (a label counts from when it became known)
 *            ├─ or none, where absence means a negative and the horizon has passed
 *            ├─ without those whose decision keeps the truth from showing
 *            └─ served vector, where the version read this service; `__skewed` where event time has it otherwise
 */
export function datasetSql(
  { vectors, service, labels, served, labelCutOff }: DatasetQuery,
  labelEvents: string,
): string {
  const { stream, horizonMs, retentionMs, absence, censored } = labels;
  const field = (at: number): string => identifier(stream.fields[at]?.name ?? '');
  const [id, time] = [field(stream.eventId), field(stream.eventTime)];
  const rows = parquet([vectors.file]);
  const servedColumns = vectors.columns.map((_, at) => `column_${at}`);
  const nulls = servedColumns.map((column) => `NULL::DOUBLE AS ${column}`).join(', ');
  // Files hold as many columns as the services that were served then: the union gives the others to them.
  const servedRows =
    served.length === 0
      ? `SELECT NULL::BIGINT AS id, NULL::BIGINT AS "at", ${nulls} WHERE false`
      : `SELECT id, "at", ${servedColumns.join(', ')} FROM (SELECT * FROM ${parquet(served, 'union_by_name = true')}
           UNION ALL BY NAME SELECT ${nulls} WHERE false) WHERE service = ${textLiteral(service.hash)}
         QUALIFY row_number() OVER (PARTITION BY id, "at" ORDER BY __partition, __offset) = 1`;
  const hidden =
    censored.length === 0 || served.length === 0
      ? ''
      : `ANTI JOIN (SELECT id, "at" FROM ${parquet(served, 'union_by_name = true')} WHERE decision IN (${censored.map(textLiteral).join(', ')})) c
           ON c.id = v.__id AND c."at" = v.__time`;
  const fields = Array.from({ length: vectors.fields }, (_, at) => `v.__field_${at}`);
  const columns = vectors.columns.map(
    (name, at) => `CASE WHEN s.id IS NULL THEN v.${identifier(name)} ELSE s.column_${at} END AS ${identifier(name)}`,
  );
  const isNegative = absence === 'negative' ? `v.__time + ${horizonMs} <= ${labelCutOff}` : 'false';
  return `WITH known AS (SELECT v.__id AS id, v.__time AS "at", l.label, l.known_at
      FROM ${rows} v JOIN (SELECT ${id} AS id, CAST(${field(labels.field)} AS DOUBLE) AS label, ${time} AS known_at,
          __partition, __offset FROM ${labelEvents} WHERE ${time} <= ${labelCutOff}) l
        ON l.id = v.__id AND l.known_at <= v.__time + ${retentionMs}
      QUALIFY row_number() OVER (PARTITION BY v.__id, v.__time ORDER BY l.known_at DESC, l.__partition, l.__offset) = 1),
    served AS (${servedRows})
    SELECT v.__time, v.__id, v.__entity, ${[...fields, ...columns].join(', ')}, coalesce(l.label, 0) AS __label,
      coalesce(l.known_at, v.__time + ${horizonMs}) AS __known_at, s.id IS NOT NULL AS __served,
      ${skewedSql(vectors.columns)} AS __skewed
    FROM ${rows} v LEFT JOIN known l ON l.id = v.__id AND l."at" = v.__time ${hidden}
    LEFT JOIN served s ON s.id = v.__id AND s."at" = v.__time
    WHERE l.id IS NOT NULL OR (${isNegative}) ORDER BY v.__time, v.__id`;
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
