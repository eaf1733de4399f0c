import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isTidemillError } from '../../contracts/errors.js';
import { createViewOperator } from '../../features/operator/createViewOperator.js';
import type { CompiledService } from '../../features/compiledView.js';
import { interpretService } from '../../features/interpreter.js';
import { createRequestOperator } from '../../features/requestOperator.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import { openDuckdbStore } from '../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../stores/offline/offlineStore.js';
import { handbookEvents, readHandbookInputs, type HandbookFiles, type HandbookInputs } from './handbook.js';
import { fraud, labels, transactions } from './project.js';

/**
 * Computes the handbook's 15 inputs through this project's definitions and compares them with the handbook's own values:
 * counts and flags exactly, means and amounts to a relative 1e-9 (the handbook multiplies some amounts by five as doubles:
 * 11.19 became 55.949999999999996).
 */
export const ENGINES = ['interpreter', 'duckdb', 'operator'] as const;
export type Engine = (typeof ENGINES)[number];

export interface GoldenResult {
  readonly engine: Engine;
  readonly rows: number;
  readonly values: number;
  readonly mismatches: number;
  readonly maxRelativeError: number;
  readonly seconds: number;
}

export interface Mismatch {
  readonly engine: Engine;
  readonly transaction: number;
  readonly feature: string;
  readonly expected: number;
  readonly found: number;
}

/** Rows that the interpreter, which looks at a key's whole history for every value, computes. */
const INTERPRETER_ROWS = 2_000;
const RELATIVE_TOLERANCE = 1e-9;

/** One computed row is handed over at a time. */
type Report = (id: number, vector: ArrayLike<number>) => void;

export async function compareWithHandbook(options: {
  readonly transactions: string;
  readonly expected: string;
  readonly engines: readonly Engine[];
  readonly onMismatch: (mismatch: Mismatch) => void;
  readonly onProgress?: (text: string) => void;
}): Promise<GoldenResult[]> {
  const { service } = fraud.compiled;
  const columns = service.columns.map(({ name }) => name);
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-golden-'));
  const store = await openDuckdbStore();
  try {
    const expected = await readHandbookInputs(options.expected, columns);
    const files = await handbookEvents(options.transactions, folder);
    const history = new History(store, files);
    const results: GoldenResult[] = [];
    for (const engine of options.engines) {
      options.onProgress?.(`${engine} …`);
      const started = performance.now();
      const comparison = new Comparison(engine, columns, expected, options.onMismatch);
      if (engine === 'duckdb') await runDuckdb(store, files, folder, expected, history, comparison.report);
      else if (engine === 'operator') await runOperator(service, history, expected, comparison.report);
      else await runInterpreter(service, history, expected, comparison.report);
      const wanted = engine === 'interpreter' ? Math.min(INTERPRETER_ROWS, expected.ids.length) : expected.ids.length;
      results.push(comparison.result(wanted, (performance.now() - started) / 1_000));
    }
    return results;
  } finally {
    await store.close();
    await rm(folder, { recursive: true });
  }
}

class Comparison {
  private readonly rowOf: Map<number, number>;
  private rows = 0;
  private mismatches = 0;
  private maxRelativeError = 0;

  constructor(
    private readonly engine: Engine,
    private readonly columns: readonly string[],
    private readonly expected: HandbookInputs,
    private readonly onMismatch: (mismatch: Mismatch) => void,
  ) {
    this.rowOf = new Map(Array.from(expected.ids, (id, row) => [id, row]));
  }

  readonly report: Report = (id, vector) => {
    const row = this.rowOf.get(id);
    if (row === undefined) return;
    this.rows++;
    for (const [column, feature] of this.columns.entries()) {
      const expected = this.expected.values[row * this.columns.length + column] as number;
      const found = vector[column] as number;
      if (found === expected) continue;
      const error = Math.abs(found - expected) / Math.max(Math.abs(expected), Number.MIN_VALUE);
      if (!isCount(feature) && error <= RELATIVE_TOLERANCE) {
        this.maxRelativeError = Math.max(this.maxRelativeError, error);
        continue;
      }
      this.mismatches++;
      this.maxRelativeError = Math.max(this.maxRelativeError, error);
      this.onMismatch({ engine: this.engine, transaction: id, feature, expected, found });
    }
  };

  /** A row that was not computed is a mismatch of all its values. */
  result(wanted: number, seconds: number): GoldenResult {
    const missing = wanted - this.rows;
    return {
      engine: this.engine,
      rows: this.rows,
      values: this.rows * this.columns.length,
      mismatches: this.mismatches + Math.abs(missing) * this.columns.length,
      maxRelativeError: this.maxRelativeError,
      seconds: Math.round(seconds * 100) / 100,
    };
  }
}

function isCount(feature: string): boolean {
  return !/^(average_amount|risk|amount)/.test(feature);
}

/** All events in memory, read once. */
class History {
  private loaded: { transactions: LoggedEvent[]; labels: LoggedEvent[] } | null = null;

  constructor(
    private readonly store: OfflineStore,
    private readonly files: HandbookFiles,
  ) {}

  async load(): Promise<{ transactions: LoggedEvent[]; labels: LoggedEvent[] }> {
    if (this.loaded === null) {
      const all = { transactions: [] as LoggedEvent[], labels: [] as LoggedEvent[] };
      for await (const chunk of this.store.readEvents(transactions.compiled, [this.files.transactions]))
        all.transactions.push(...chunk);
      for await (const chunk of this.store.readEvents(labels.compiled, [this.files.labels])) all.labels.push(...chunk);
      this.loaded = all;
    }
    return this.loaded;
  }

  /** Event times of the first and the last of the given transactions. */
  async times(ids: Float64Array): Promise<{ first: number; last: number }> {
    const wanted = new Set(ids);
    let first = Number.POSITIVE_INFINITY;
    let last = Number.NEGATIVE_INFINITY;
    for (const { id, time } of (await this.load()).transactions) {
      if (!wanted.has(id as number)) continue;
      first = Math.min(first, time);
      last = Math.max(last, time);
    }
    return { first, last };
  }
}

async function runDuckdb(
  store: OfflineStore,
  files: HandbookFiles,
  folder: string,
  expected: HandbookInputs,
  history: History,
  report: Report,
): Promise<void> {
  const { first, last } = await history.times(expected.ids);
  const table = await store.computeVectors({
    service: fraud.compiled.service,
    files: { [transactions.compiled.name]: [files.transactions], [labels.compiled.name]: [files.labels] },
    from: first,
    to: last + 1,
    entity: null,
    output: join(folder, 'vectors.parquet'),
  });
  const { ids, values, columns, rows } = await store.readVectors(table);
  for (let row = 0; row < rows; row++) {
    report(ids[row] as number, values.subarray(row * columns.length, (row + 1) * columns.length));
  }
}

/** Replays transactions and labels in time order through the operators, as a worker would. */
async function runOperator(
  service: CompiledService,
  history: History,
  expected: HandbookInputs,
  report: Report,
): Promise<void> {
  const all = await history.load();
  const wanted = new Set(expected.ids);
  const vector = new Float64Array(service.columns.length);
  let start = 0;
  const parts = service.inputs.map((input) => {
    const part =
      input.kind === 'request'
        ? { kind: input.kind, start, run: createRequestOperator(input.view) }
        : { kind: input.kind, start, operator: createViewOperator(input.view), requestKey: input.requestKey };
    start += input.view.features.length;
    return part;
  });
  const fold = (stream: string, event: LoggedEvent): void => {
    for (const part of parts) {
      if (part.kind !== 'view' || part.operator.view.stream.name !== stream) continue;
      const key = event.values[part.operator.view.key] as Value;
      part.operator.insert(key, event.time, event.id, event.values, event.partition, event.offset);
    }
  };
  let nextLabel = 0;
  for (const request of all.transactions) {
    // Labels with time <= the request's are visible to it.
    for (
      let label = all.labels[nextLabel];
      label !== undefined && label.time <= request.time;
      label = all.labels[++nextLabel]
    ) {
      fold(labels.compiled.name, label);
    }
    fold(transactions.compiled.name, request);
    if (!wanted.has(request.id as number)) continue;
    for (const part of parts) {
      if (part.kind === 'request') part.run(request.values, vector, part.start);
      else {
        const own = part.operator.view.stream.name === service.request.name;
        const key = request.values[part.requestKey] as Value;
        part.operator.valuesAt(key, request.time, own ? request.id : null, own, vector, part.start);
      }
    }
    report(request.id as number, vector);
  }
}

async function runInterpreter(
  service: CompiledService,
  history: History,
  expected: HandbookInputs,
  report: Report,
): Promise<void> {
  const all = await history.load();
  const customer = byKey(
    all.transactions,
    transactions.compiled.fields.findIndex(({ name }) => name === 'customer'),
  );
  const terminal = byKey(
    all.labels,
    labels.compiled.fields.findIndex(({ name }) => name === 'terminal'),
  );
  const count = Math.min(INTERPRETER_ROWS, expected.ids.length);
  // Evenly spread over the expected rows.
  const wanted = new Set(
    Array.from({ length: count }, (_, at) => expected.ids[Math.floor((at * expected.ids.length) / count)]),
  );
  for (const request of all.transactions) {
    if (!wanted.has(request.id as number)) continue;
    const { vector } = interpretService(
      service,
      request,
      (view, key) => (view.stream.name === transactions.compiled.name ? customer : terminal).get(key) ?? [],
    );
    report(request.id as number, vector);
  }
}

function byKey(events: readonly LoggedEvent[], field: number): Map<Value, LoggedEvent[]> {
  const groups = new Map<Value, LoggedEvent[]>();
  for (const event of events) {
    const key = event.values[field] as Value;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [event]);
    else group.push(event);
  }
  return groups;
}

const SHOWN_MISMATCHES = 20;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      transactions: { type: 'string' },
      expected: { type: 'string' },
      engine: { type: 'string', default: 'all' },
      json: { type: 'boolean', default: false },
    },
  });
  const engines = values.engine === 'all' ? ENGINES : ENGINES.filter((engine) => engine === values.engine);
  if (values.transactions === undefined || values.expected === undefined || engines.length === 0) {
    console.error(
      'usage: npm run golden -- --transactions DIR --expected FILE [--engine interpreter|duckdb|operator|all] [--json]',
    );
    return 2;
  }
  let mismatches = 0;
  const results = await compareWithHandbook({
    transactions: values.transactions,
    expected: values.expected,
    engines,
    onMismatch: ({ engine, transaction, feature, expected, found }) => {
      if (mismatches++ < SHOWN_MISMATCHES) {
        console.error(`${engine}: transaction ${transaction}, ${feature}: expected ${expected}, found ${found}`);
      }
    },
    onProgress: (text) => {
      if (!values.json) console.error(text);
    },
  });
  if (values.json) console.log(JSON.stringify(results));
  else console.table(results);
  return results.some((result) => result.mismatches > 0) ? 3 : 0;
}

if (process.argv[1]?.endsWith('golden.js') === true) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!isTidemillError(error)) throw error;
    console.error(`${error.code}: ${error.message}\n${error.action}`);
    process.exitCode = error.description.exit;
  }
}
