import type { DuckDBConnection } from '@duckdb/node-api';
import { createViewOperator } from '../../features/operator/createViewOperator.js';
import type { ViewOperator } from '../../features/operator/viewOperator.js';
import type { CompiledService, CompiledStream } from '../../features/compiledView.js';
import {
  eventColumns,
  eventRange,
  factsQuery,
  lowerService,
  type ViewFacts,
} from '../../features/duckdb/lowerService.js';
import { literalSql } from '../../features/duckdb/lowerExpression.js';
import { identifier } from '../../features/duckdb/sqlText.js';
import { createRequestOperator } from '../../features/requestOperator.js';
import { STATUSES, type LoggedEvent, type Value } from '../../features/types.js';
import { buildCase, type BuiltCase } from './buildProject.js';
import { checkOrdered } from './checkOrdered.js';
import { compare, expectedAt, interpretAll, type Expected } from './expected.js';
import type { FuzzCase } from './fuzzCase.js';

/** Runs a case through every engine. Returns what differs from the interpreter, in words; nothing when all agree. */
export async function checkCase(fuzz: FuzzCase, duckdb: DuckDBConnection): Promise<string[]> {
  const built = buildCase(fuzz);
  const expected = interpretAll(built);
  return [
    ...checkOperator(built, expected),
    ...checkStreaming(built, fuzz),
    ...(await checkDuckdb(built, fuzz, expected, duckdb)),
    ...(await checkOrdered(built, fuzz)),
  ];
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
