import type { DuckDBConnection } from '@duckdb/node-api';
import { createViewOperator } from '../../features/operator/createViewOperator.js';
import type { ViewOperator } from '../../features/operator/viewOperator.js';
import type { CompiledService, CompiledStream, CompiledView } from '../../features/compiledView.js';
import {
  eventColumns,
  eventRange,
  factsQuery,
  lowerService,
  type ViewFacts,
} from '../../features/duckdb/lowerService.js';
import { literalSql } from '../../features/duckdb/lowerExpression.js';
import { identifier } from '../../features/duckdb/sqlText.js';
import { interpretService, interpretView } from '../../features/interpreter.js';
import { compareIds } from '../../features/order.js';
import { createRequestOperator } from '../../features/requestOperator.js';
import { STATUSES, type LoggedEvent, type Status, type Value } from '../../features/types.js';
import { buildCase, type BuiltCase } from './buildProject.js';
import type { FuzzCase } from './fuzzCase.js';

/** Runs a case through every engine. Returns what differs from the interpreter, in words; nothing when all agree. */
export async function checkCase(fuzz: FuzzCase, duckdb: DuckDBConnection): Promise<string[]> {
  const built = buildCase(fuzz);
  const expected = interpretAll(built);
  return [
    ...checkOperator(built, expected),
    ...checkStreaming(built, fuzz),
    ...(await checkDuckdb(built, fuzz, expected, duckdb)),
  ];
}

/** What the interpreter says about one request, with the tolerance of each column. */
interface Expected {
  readonly request: LoggedEvent;
  readonly vector: Float64Array;
  readonly statuses: readonly Status[];
  readonly tolerances: Float64Array;
}

/** Distinct requests, by (time, id, key). */
function distinctRequests(built: BuiltCase): LoggedEvent[] {
  const key = built.requests.topicKey;
  const first = new Map<string, LoggedEvent>();
  for (const event of built.requestEvents) {
    const identity = JSON.stringify([event.time, event.id, event.values[key]]);
    const known = first.get(identity);
    const isLower =
      known === undefined ||
      event.partition < known.partition ||
      (event.partition === known.partition && event.offset < known.offset);
    if (isLower) first.set(identity, event);
  }
  return [...first.values()].sort(
    (a, b) =>
      a.time - b.time ||
      compareIds(a.id, b.id) ||
      compareIds(a.values[key] as string | number, b.values[key] as string | number),
  );
}

function interpretAll(built: BuiltCase): Expected[] {
  const events = { requests: built.requestEvents, signals: built.signalEvents };
  return distinctRequests(built).map((request) => expectedAt(built.service, request, events));
}

function expectedAt(
  service: CompiledService,
  request: LoggedEvent,
  events: { readonly requests: readonly LoggedEvent[]; readonly signals: readonly LoggedEvent[] },
): Expected {
  const eventsOf = (view: CompiledView, key: Value): LoggedEvent[] =>
    events[view.stream.name as 'requests' | 'signals'].filter((event) => event.values[view.key] === key);
  const { vector, statuses } = interpretService(service, request, eventsOf);
  const tolerances = service.columns.map(({ input, feature }, column) => {
    const { view, kind } = service.inputs[input] as CompiledService['inputs'][number];
    const value = Math.abs(vector[column] as number);
    if (kind === 'request') return 0;
    const { requestKey } = service.inputs[input] as { requestKey: number };
    const key = request.values[requestKey] as Value;
    const magnitude =
      key === null ? 0 : magnitudeOf(view, feature, eventsOf(view, key), request, view.stream === service.request);
    // Exact sums beyond 2^53 agree within 2 ulp.
    return magnitude === null
      ? value > 2 ** 53 || isMeanOfExtremes(view, feature)
        ? value * 4.5e-16
        : 0
      : magnitude * 1e-12;
  });
  return { request, vector, statuses, tolerances: Float64Array.from(tolerances) };
}

/** Means of exact numbers are equal while sum and count are within 2^53; the cases also hold greater ones. */
function isMeanOfExtremes(view: CompiledView, feature: number): boolean {
  const { value } = view.features[feature] as CompiledView['features'][number];
  return value.op === 'aggregate' && view.aggregations[value.index]?.aggregate === 'mean';
}

/** For a sum or mean of doubles: the same over |x|, by which rule 5 scales the tolerance; null for exact features. */
function magnitudeOf(
  view: CompiledView,
  feature: number,
  events: readonly LoggedEvent[],
  request: LoggedEvent,
  ownStream: boolean,
): number | null {
  const { value } = view.features[feature] as CompiledView['features'][number];
  if (value.op !== 'aggregate') return null;
  const aggregation = view.aggregations[value.index];
  if (aggregation === undefined || aggregation.aggregate === 'count' || aggregation.input?.type.kind !== 'double')
    return null;
  const absolute: CompiledView = {
    ...view,
    aggregations: [{ ...aggregation, input: { op: 'abs', of: aggregation.input, type: { kind: 'double' } } }],
    features: [
      {
        name: 'magnitude',
        type: { kind: 'double' },
        value: { op: 'aggregate', index: 0, type: { kind: 'double' } },
        orElse: null,
      },
    ],
  };
  return (interpretView(absolute, events, request, ownStream).values[0] as number | null) ?? 0;
}

function compare(engine: string, service: CompiledService, expected: Expected, vector: ArrayLike<number>): string[] {
  const differences: string[] = [];
  for (const [at, { name }] of service.columns.entries()) {
    const [wanted, found] = [expected.vector[at] as number, vector[at] as number];
    // -0 is not 0: it must not come out of any engine.
    if (Object.is(wanted, found)) continue;
    if (!Object.is(found, -0) && Math.abs(wanted - found) <= (expected.tolerances[at] as number)) continue;
    differences.push(
      `${engine}: request ${JSON.stringify(expected.request.id)} at ${expected.request.time}, ${name}: the interpreter says ${wanted}, found ${found}`,
    );
  }
  return differences;
}

/** All state of one task: an operator per view. */
class Operators {
  private readonly request;
  private views: { readonly operator: ViewOperator; readonly start: number; readonly requestKey: number }[] = [];
  readonly vector: Float64Array;
  readonly statuses: Uint8Array;

  constructor(private readonly service: CompiledService) {
    this.vector = new Float64Array(service.columns.length);
    this.statuses = new Uint8Array(service.columns.length);
    let start = 0;
    const requests: { run: ReturnType<typeof createRequestOperator>; start: number }[] = [];
    for (const input of service.inputs) {
      if (input.kind === 'request') requests.push({ run: createRequestOperator(input.view), start });
      else this.views.push({ operator: createViewOperator(input.view), start, requestKey: input.requestKey });
      start += input.view.features.length;
    }
    this.request = requests;
  }

  fold(stream: string, event: LoggedEvent): void {
    for (const { operator } of this.views) {
      if (operator.view.stream.name !== stream) continue;
      const key = event.values[operator.view.key] as Value;
      operator.insert(key, event.time, event.id, event.values, event.partition, event.offset);
    }
  }

  evaluate(request: LoggedEvent): void {
    for (const { run, start } of this.request) run(request.values, this.vector, start);
    for (const { operator, start, requestKey } of this.views) {
      const own = operator.view.stream.name === this.service.request.name;
      const key = request.values[requestKey] as Value;
      operator.valuesAt(key, request.time, own ? request.id : null, own, this.vector, start, this.statuses);
    }
  }

  evict(watermark: number): void {
    for (const { operator } of this.views) operator.evict(watermark);
  }

  /** Goes through the encoding, as a crash and a restart would. */
  restore(): void {
    this.views = this.views.map((part) => {
      const operator = createViewOperator(part.operator.view);
      for (const key of part.operator.keys()) {
        const bytes = part.operator.encodeKey(key);
        if (bytes !== null) operator.decodeKey(key, bytes);
      }
      return { ...part, operator };
    });
  }
}

/** Everything inserted in order of arrival, then every request, most of them at past positions. */
function checkOperator(built: BuiltCase, expected: readonly Expected[]): string[] {
  const operators = new Operators(built.service);
  for (const { stream, event } of built.arrivals) operators.fold(stream, event);
  // Backwards and forwards again: cursors must move both ways.
  return [...expected]
    .reverse()
    .concat(expected)
    .flatMap((each) => {
      operators.evaluate(each.request);
      return [
        ...compare('operator', built.service, each, operators.vector),
        ...compareStatuses('operator', built.service, each, operators.statuses),
      ];
    });
}

function compareStatuses(engine: string, service: CompiledService, expected: Expected, statuses: Uint8Array): string[] {
  return service.columns.flatMap(({ name, input }, at) => {
    if (service.inputs[input]?.kind === 'request') return [];
    const found = STATUSES[statuses[at] as number];
    return found === expected.statuses[at]
      ? []
      : [
          `${engine}: status of ${name} at ${expected.request.time}: the interpreter says ${expected.statuses[at]}, found ${found}`,
        ];
  });
}

/** As a worker does: each request sees what arrived before it; state is evicted by a watermark, encoded and restored. */
function checkStreaming(built: BuiltCase, fuzz: FuzzCase): string[] {
  const operators = new Operators(built.service);
  const arrived = { requests: [] as LoggedEvent[], signals: [] as LoggedEvent[] };
  const differences: string[] = [];
  let newest = Number.NEGATIVE_INFINITY;
  for (const [at, { stream, event }] of built.arrivals.entries()) {
    operators.fold(stream, event);
    arrived[stream].push(event);
    const watermark = newest - fuzz.lateness * fuzz.unitMs;
    if (stream === 'requests' && event.time >= watermark) {
      operators.evaluate(event);
      const expected = expectedAt(built.service, event, arrived);
      differences.push(
        ...compare('streaming operator', built.service, expected, operators.vector),
        ...compareStatuses('streaming operator', built.service, expected, operators.statuses),
      );
    }
    newest = Math.max(newest, event.time);
    if (at % 3 === 2) operators.evict(newest - fuzz.lateness * fuzz.unitMs);
    if (at % fuzz.restoreEvery === fuzz.restoreEvery - 1) operators.restore();
  }
  return differences;
}

async function checkDuckdb(
  built: BuiltCase,
  fuzz: FuzzCase,
  all: readonly Expected[],
  duckdb: DuckDBConnection,
): Promise<string[]> {
  const { service, requests } = built;
  const from = fuzz.baseMs + fuzz.fromTick * fuzz.unitMs;
  const to = fuzz.baseMs + 100 * fuzz.unitMs;
  const expected = all.filter(({ request }) => request.time >= from);
  const relations = {
    requests: await load(duckdb, built.requests, built.requestEvents),
    signals: await load(duckdb, built.signals, built.signalEvents),
  };
  const factsOf = async (sql: string): Promise<ViewFacts> => {
    const [row] = (await duckdb.runAndReadAll(sql)).getRows();
    return { ties: Number(row?.[0]), repeats: row?.[1] === true };
  };
  const facts: (ViewFacts | null)[] = [];
  for (const input of service.inputs) {
    if (input.kind === 'request') facts.push(null);
    else {
      const { stream, key } = input.view;
      const { after, until } = eventRange(input.view, from, to);
      facts.push(
        await factsOf(factsQuery(stream, key, relations[stream.name as 'requests' | 'signals'], after, until)),
      );
    }
  }
  const { repeats } = await factsOf(factsQuery(requests, requests.topicKey, relations.requests, from - 1, to));
  const sql = lowerService({
    service,
    relations,
    from,
    to,
    entity: null,
    facts,
    repeatedRequests: repeats,
    allowDirect: fuzz.allowDirect,
  });
  const rows = (await duckdb.runAndReadAll(sql)).getRows();
  if (rows.length !== expected.length) return [`duckdb: ${rows.length} rows where ${expected.length} requests are`];
  return rows.flatMap((row, at) => {
    const each = expected[at] as Expected;
    if (Number(row[0]) !== each.request.time || String(row[1]) !== String(each.request.id)) {
      return [
        `duckdb: row ${at} is request ${String(row[1])} at ${String(row[0])}, not ${each.request.id} at ${each.request.time}`,
      ];
    }
    const vector = row.slice(3).map((value) => (value === null ? Number.NaN : (value as number)));
    return compare('duckdb', service, each, vector);
  });
}

async function load(duckdb: DuckDBConnection, stream: CompiledStream, events: readonly LoggedEvent[]): Promise<string> {
  const columns = eventColumns(stream).map(({ name, type }) => `${identifier(name)} ${type}`);
  const table = identifier(`fuzz_${stream.name}`);
  await duckdb.run(`CREATE OR REPLACE TEMP TABLE ${table} (${columns.join(', ')})`);
  const rows = events.map((event) => {
    const values = stream.fields.map(({ type }, at) => literalSql(type, event.values[at] as Value));
    return `(${[...values, event.partition, event.offset].join(', ')})`;
  });
  if (rows.length > 0) await duckdb.run(`INSERT INTO ${table} VALUES ${rows.join(', ')}`);
  return table;
}
