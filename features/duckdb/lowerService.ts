import { TidemillError } from '../../contracts/errors.js';
import type { CompiledField, CompiledService, CompiledStream, CompiledView } from '../compiledView.js';
import { columnType, lowerExpression } from './lowerExpression.js';
import { lowerView, positionScale, vectorSql, type LoweredView, type PositionScale } from './lowerView.js';
import { identifier } from './sqlText.js';

/**
 * A service's vectors as one SQL query: a row per distinct request with from <= time < to, in (time, id) order, as
 * `__time, __id, __entity, COLUMN…`.
 *
 * Requests are numbered; each view adds its columns by that number. There are two plans for a view:
 * - **direct**: the requests are the view's own events and both are keyed alike, so the windows run over the events;
 * - **union**: events and requests are joined by UNION ALL, and events alone carry inputs.
 */
export interface ServiceQuery {
  readonly service: CompiledService;
  /** SQL of a relation per stream name: fields in their in-memory form, `__partition`, `__offset`. */
  readonly relations: Readonly<Record<string, string>>;
  readonly from: number;
  readonly to: number;
  /** Field of the request stream for `__entity`; null for none. */
  readonly entity: number | null;
  /** Adds the request's own fields as `__field_0, …`. @default false */
  readonly withFields?: boolean;
  /** What the data is like, by index of the input; see factsQuery. Request inputs need none. */
  readonly facts: readonly (ViewFacts | null)[];
  /** Are there several records of one request? */
  readonly repeatedRequests: boolean;
  /** false takes the union plan everywhere. @default true */
  readonly allowDirect?: boolean;
}

/** Measured on the data, so that the cheaper plan can be taken where it is exact. */
export interface ViewFacts {
  /** Greatest number of distinct events of one key at one time. */
  readonly ties: number;
  /** Is there an event with more than one record? */
  readonly repeats: boolean;
}

/** SQL that measures ViewFacts: one row `ties, repeats`. `key` is an index into the stream's fields. */
export function factsQuery(stream: CompiledStream, key: number, relation: string, from: number, to: number): string {
  const [keyName, time, id] = [
    fieldName(stream, key),
    fieldName(stream, stream.eventTime),
    fieldName(stream, stream.eventId),
  ];
  return `SELECT coalesce(max(d), 0)::INTEGER AS ties, coalesce(max(n) > 1, false) AS repeats FROM (
    SELECT count(*) AS d, max(n) AS n FROM (
      SELECT ${keyName} AS k, ${time} AS t, count(*) AS n FROM ${relation}
      WHERE ${time} > ${from} AND ${time} <= ${to} GROUP BY ${keyName}, ${time}, ${id}) GROUP BY k, t)`;
}

/** Events of which times a view's values at requests in [from, to) can depend on: (after, until]. */
export function eventRange(view: CompiledView, from: number, to: number): { after: number; until: number } {
  return { after: from - view.keepMs, until: to };
}

/** @throws TidemillError OFFLINE_TIES_OVERFLOW where time and rank do not fit into 63 bits. */
export function lowerService(query: ServiceQuery): string {
  const { service, from, to } = query;
  const { request } = service;
  const relationOf = (stream: CompiledStream): string => query.relations[stream.name] as string;
  const time = fieldName(request, request.eventTime);
  const id = fieldName(request, request.eventId);

  const parts: string[] = [
    `requests AS MATERIALIZED (SELECT *, row_number() OVER (ORDER BY ${time}, ${id}, ${fieldName(request, request.topicKey)}) AS __row
      FROM (SELECT * FROM ${relationOf(request)} WHERE ${time} >= ${from} AND ${time} < ${to} ${
        query.repeatedRequests ? firstRecord(request, request.topicKey) : ''
      }))`,
  ];
  const joins: string[] = [];
  const columns = service.inputs.map((input, at): readonly string[] => {
    if (input.kind === 'request') {
      const field = (name: string): string => `r.${identifier(name)}`;
      return input.view.features.map(({ type, value }) => vectorSql(type, lowerExpression(value, field)));
    }
    const { view } = input;
    const facts = query.facts[at];
    if (facts === undefined || facts === null) throw new Error(`invariant broken: no facts of ${view.name}`);
    const own = view.stream.name === request.name;
    const scale = own ? checkedScale(view, facts, from, to) : { factor: 1 };
    const lowered = lowerView(view, `v${at}`, own, scale, (name) => `e.${identifier(name)}`);
    const table = `view${at}`;
    const events = eventsOf(view, relationOf(view.stream), facts, from, to, own);
    if (own && view.key === request.topicKey && query.allowDirect !== false) {
      parts.push(`${table} AS MATERIALIZED (${directPlan(view, lowered, events, scale, from)})`);
      joins.push(
        `LEFT JOIN ${table} ON ${table}.__key = r.${fieldName(request, view.key)} AND ${table}.__time = r.${time} AND ${table}.__id = r.${id}`,
      );
    } else {
      parts.push(
        `${table} AS MATERIALIZED (${unionPlan(view, lowered, events, scale, from, request, input.requestKey, own)})`,
      );
      joins.push(`LEFT JOIN ${table} ON ${table}.__row = r.__row`);
    }
    return lowered.features.map(({ sql }) => sql);
  });
  const vector = service.columns.map(
    ({ name, input, feature }) =>
      `CAST(${(columns[input] as readonly string[])[feature] as string} AS DOUBLE) AS ${identifier(name)}`,
  );
  const fields =
    query.withFields === true ? request.fields.map((_, at) => `r.${fieldName(request, at)} AS __field_${at}`) : [];
  const entity = query.entity === null ? 'NULL' : `r.${fieldName(request, query.entity)}`;
  return `WITH ${parts.join(',\n')}
SELECT r.${time} AS __time, r.${id} AS __id, ${entity} AS __entity, ${[...fields, ...vector].join(',\n  ')}
FROM requests r ${joins.join('\n')}
ORDER BY r.__row`;
}

function fieldName(stream: CompiledStream, at: number): string {
  return identifier((stream.fields[at] as CompiledField).name);
}

/** Rule 1: of several records of one event the one of lowest (partition, offset) counts. */
function firstRecord(stream: CompiledStream, key: number): string {
  const [keyName, time, id] = [
    fieldName(stream, key),
    fieldName(stream, stream.eventTime),
    fieldName(stream, stream.eventId),
  ];
  return `QUALIFY row_number() OVER (PARTITION BY ${keyName}, ${time}, ${id} ORDER BY __partition, __offset) = 1`;
}

function checkedScale(view: CompiledView, facts: ViewFacts, from: number, to: number): PositionScale {
  const scale = positionScale(facts.ties);
  const reach = BigInt(to - from) + 2n * BigInt(view.keepMs);
  if (reach * BigInt(scale.factor) < 1n << 62n) return scale;
  throw new TidemillError(
    'OFFLINE_TIES_OVERFLOW',
    `view ${view.name}: ${facts.ties} events of one key at one time over ${to - from} ms do not fit into one order key`,
    { view: view.name, ties: facts.ties, from, to },
  );
}

/** The view's events: __key, __time, __id and the inputs of its aggregations. */
function eventsOf(
  view: CompiledView,
  relation: string,
  facts: ViewFacts,
  from: number,
  to: number,
  own: boolean,
): string {
  const { stream } = view;
  const time = fieldName(stream, stream.eventTime);
  const { after, until } = eventRange(view, from, to);
  return `(SELECT * FROM ${relation} WHERE ${time} > ${after} AND ${time} ${own ? '<' : '<='} ${until}
    AND ${fieldName(stream, view.key)} IS NOT NULL ${facts.repeats ? firstRecord(stream, view.key) : ''}) e`;
}

/** Relative to `from`, so that it stays small. */
function positionSql(time: string, id: string, key: string, from: number, { factor }: PositionScale): string {
  if (factor === 1) return `(${time} - ${from})`;
  return `((${time} - ${from}) * ${factor} + dense_rank() OVER (PARTITION BY ${key}, ${time} ORDER BY ${id}) - 1)`;
}

function directPlan(
  view: CompiledView,
  lowered: LoweredView,
  events: string,
  scale: PositionScale,
  from: number,
): string {
  const { stream } = view;
  const key = `e.${fieldName(stream, view.key)}`;
  const time = `e.${fieldName(stream, stream.eventTime)}`;
  const id = `e.${fieldName(stream, stream.eventId)}`;
  const tracks = lowered.tracks.map(({ name, sql }) => `${sql} AS ${identifier(name)}`);
  return `SELECT * FROM (SELECT __key, __time, __id, ${windowedColumns(lowered)} FROM (
    SELECT ${[`${key} AS __key`, `${time} AS __time`, `${id} AS __id`, `${positionSql(time, id, key, from, scale)} AS __pos`, ...tracks].join(', ')}
    FROM ${events})) WHERE __time >= ${from}`;
}

function unionPlan(
  view: CompiledView,
  lowered: LoweredView,
  events: string,
  scale: PositionScale,
  from: number,
  request: CompiledStream,
  requestKey: number,
  own: boolean,
): string {
  const { stream } = view;
  const eventColumns = [
    'NULL::BIGINT AS __row',
    `e.${fieldName(stream, view.key)} AS __key`,
    `e.${fieldName(stream, stream.eventTime)} AS __time`,
    // Ids of different streams do not compare: they matter in the view's own stream alone.
    ...(own ? [`e.${fieldName(stream, stream.eventId)} AS __id`] : []),
    ...lowered.tracks.map(({ name, sql }) => `${sql} AS ${identifier(name)}`),
  ];
  const requestColumns = [
    'q.__row',
    `q.${fieldName(request, requestKey)}`,
    `q.${fieldName(request, request.eventTime)}`,
    ...(own ? [`q.${fieldName(request, request.eventId)}`] : []),
    ...lowered.tracks.map(({ type }) => `NULL::${type}`),
  ];
  const tracks = lowered.tracks.map(({ name }) => identifier(name));
  return `SELECT * FROM (SELECT __row, ${windowedColumns(lowered)} FROM (
    SELECT __row, __key, ${positionSql('__time', '__id', '__key', from, scale)} AS __pos${tracks.map((name) => `, ${name}`).join('')} FROM (
      SELECT ${eventColumns.join(', ')} FROM ${events} UNION ALL SELECT ${requestColumns.join(', ')} FROM requests q))) WHERE __row IS NOT NULL`;
}

function windowedColumns(lowered: LoweredView): string {
  return lowered.windowed.map(({ name, sql }) => `${sql} AS ${identifier(name)}`).join(', ');
}

/** `CREATE TABLE` columns of a stream's events in their in-memory form. */
export function eventColumns(stream: CompiledStream): readonly { name: string; type: string }[] {
  return [
    ...stream.fields.map(({ name, type }) => ({ name, type: columnType(type) })),
    { name: '__partition', type: 'INTEGER' },
    { name: '__offset', type: 'BIGINT' },
  ];
}
