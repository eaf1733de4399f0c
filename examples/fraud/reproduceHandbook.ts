import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { trainXgboost } from '../../activities/training/trainXgboost.js';
import { DAY_MS } from '../../contracts/duration.js';
import { isTidemillError, messageOf } from '../../contracts/errors.js';
import { textLiteral } from '../../features/duckdb/sqlText.js';
import { findXgboostLibrary } from '../../infra/xgboostLibrary.js';
import { xgboost } from '../../models/authoring.js';
import { fitLogistic, predictLogistic } from '../../models/logistic.js';
import { precisionAtTop } from '../../models/metrics/precisionAtTop.js';
import { averagePrecision, rocAuc } from '../../models/metrics/ranking.js';
import { openDuckdbStore } from '../../stores/offline/duckdbStore.js';
import type { VectorMatrix } from '../../stores/offline/offlineStore.js';
import { handbookEvents, withDuckdb } from './handbook.js';
import { fraud, labels, transactions } from './project.js';

/**
 * Trains on the Fraud Detection Handbook's split, from the features of this project's definitions, and compares with the
 * handbook's results: `npm run reproduce:handbook -- --transactions DIR [--json]`. Exit code 3 outside the tolerances.
 */
const FIRST_DAY = Date.parse('2018-07-25T00:00:00Z');
const TRAIN_DAYS = 7;
const TEST_START = 14;
const TEST_DAYS = 7;

interface Reference {
  readonly model: string;
  readonly auc: readonly [value: number, tolerance: number];
  readonly averagePrecision: readonly [value: number, tolerance: number];
  readonly precisionAt100: readonly [value: number, tolerance: number];
}

const REFERENCES: readonly Reference[] = [
  {
    model: 'xgboost, exact, base score 0.5',
    auc: [0.862, 0.005],
    averagePrecision: [0.639, 0.015],
    precisionAt100: [0.273, 0.01],
  },
  {
    model: 'xgboost, 100 rounds, 0.1, depth 3, exact',
    auc: [0.878, 0.005],
    averagePrecision: [0.675, 0.015],
    precisionAt100: [0.293, 0.01],
  },
  { model: 'logistic regression', auc: [0.87, 0.003], averagePrecision: [0.606, 0.01], precisionAt100: [0.291, 0.005] },
];

export interface HandbookResult {
  readonly model: string;
  readonly auc: number;
  readonly averagePrecision: number;
  readonly precisionAt100: number;
  readonly withinTolerance: boolean;
}

/** Rows of a split, with labels. */
interface Part {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
  readonly labels: Float64Array;
  readonly days: number[];
  readonly customers: number[];
}

export async function reproduceHandbook(
  directory: string,
  progress: (text: string) => void,
): Promise<HandbookResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-handbook-'));
  try {
    progress('computing features');
    const files = await handbookEvents(directory, folder);
    const store = await openDuckdbStore();
    const table = await store.computeVectors({
      service: fraud.compiled.service,
      files: { [transactions.compiled.name]: [files.transactions], [labels.compiled.name]: [files.labels] },
      from: FIRST_DAY,
      to: FIRST_DAY + (TEST_START + TEST_DAYS) * DAY_MS,
      entity: fraud.compiled.entity,
      output: join(folder, 'vectors.parquet'),
    });
    const matrix = await store.readVectors(table);
    await store.close();
    const frauds = await fraudulent(files.labels);
    const { train, test } = split(matrix, frauds);
    progress(`training on ${train.rows} rows, testing on ${test.rows}`);

    const library = await findXgboostLibrary(progress);
    const names = table.columns;
    const trainers: Record<string, () => Promise<Float64Array>> = {
      'xgboost, exact, base score 0.5': () =>
        boosted(
          library,
          train,
          test,
          xgboost({ rounds: 100, maxDepth: 6, learningRate: 0.3, treeMethod: 'exact', baseScore: 0.5 }),
        ),
      'xgboost, 100 rounds, 0.1, depth 3, exact': () =>
        boosted(library, train, test, xgboost({ rounds: 100, maxDepth: 3, learningRate: 0.1, treeMethod: 'exact' })),
      'logistic regression': async () => {
        const model = fitLogistic(train.values, train.columns, train.labels, {
          l2: 1,
          maxIterations: 100,
          columnNames: names,
        });
        return Float64Array.from({ length: test.rows }, (_, row) => predictLogistic(model, test.values, row));
      },
    };
    const results: HandbookResult[] = [];
    for (const reference of REFERENCES) {
      progress(reference.model);
      const scores = await (trainers[reference.model] as () => Promise<Float64Array>)();
      const measured = {
        auc: rocAuc(test.labels, scores) ?? Number.NaN,
        averagePrecision: averagePrecision(test.labels, scores) ?? Number.NaN,
        precisionAt100:
          precisionAtTop(100, { labels: test.labels, scores, days: test.days, entities: test.customers }) ?? Number.NaN,
      };
      const withinTolerance = (['auc', 'averagePrecision', 'precisionAt100'] as const).every((metric) => {
        const [value, tolerance] = reference[metric];
        return Math.abs(measured[metric] - value) <= tolerance;
      });
      results.push({ model: reference.model, ...measured, withinTolerance });
    }
    return results;
  } finally {
    await rm(folder, { recursive: true });
  }
}

type XgboostSpec = Parameters<typeof trainXgboost>[0]['spec'];

async function boosted(
  library: string,
  train: Part,
  test: Part,
  spec: ReturnType<typeof xgboost>,
): Promise<Float64Array> {
  const { predictions } = await trainXgboost({ library, spec: spec as XgboostSpec, train, test });
  return Float64Array.from(predictions ?? []);
}

async function fraudulent(file: string): Promise<Set<number>> {
  return withDuckdb(async (connection) => {
    const reader = await connection.runAndReadAll(
      `SELECT CAST(id AS DOUBLE) FROM read_parquet(${textLiteral(file)}) WHERE fraud`,
    );
    return new Set(reader.getRows().map(([id]) => id as number));
  });
}

/**
 * Training days 0 to 6, test days 14 to 20. From the test, customers are left out whose fraud was known by then: those
 * with one in the training days, and for test day k those with one up to day 7 + k - 1.
 */
function split(matrix: VectorMatrix, frauds: ReadonlySet<number>): { train: Part; test: Part } {
  const dayOf = (row: number): number => Math.floor(((matrix.times[row] as number) - FIRST_DAY) / DAY_MS);
  const firstFraudDay = new Map<number, number>();
  for (let row = 0; row < matrix.rows; row++) {
    const customer = matrix.entities[row] as number;
    if (frauds.has(matrix.ids[row] as number) && !firstFraudDay.has(customer)) firstFraudDay.set(customer, dayOf(row));
  }
  const train: number[] = [];
  const test: number[] = [];
  for (let row = 0; row < matrix.rows; row++) {
    const day = dayOf(row);
    if (day < TRAIN_DAYS) train.push(row);
    else if (day >= TEST_START) {
      const known = firstFraudDay.get(matrix.entities[row] as number);
      if (known === undefined || known > TRAIN_DAYS + (day - TEST_START) - 1) test.push(row);
    }
  }
  const columns = matrix.columns.length;
  const part = (rows: readonly number[]): Part => {
    const values = new Float64Array(rows.length * columns);
    for (const [at, row] of rows.entries())
      values.set(matrix.values.subarray(row * columns, (row + 1) * columns), at * columns);
    return {
      rows: rows.length,
      columns,
      values,
      labels: Float64Array.from(rows, (row) => (frauds.has(matrix.ids[row] as number) ? 1 : 0)),
      days: rows.map(dayOf),
      customers: rows.map((row) => matrix.entities[row] as number),
    };
  };
  return { train: part(train), test: part(test) };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { transactions: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  if (values.transactions === undefined) {
    console.error('usage: npm run reproduce:handbook -- --transactions DIR [--json]');
    return 2;
  }
  const results = await reproduceHandbook(values.transactions, (text) => {
    if (!values.json) console.error(text);
  });
  if (values.json) console.log(JSON.stringify(results));
  else {
    console.table(
      results.map(({ model, auc, averagePrecision: ap, precisionAt100, withinTolerance }) => {
        const reference = REFERENCES.find((each) => each.model === model) as Reference;
        return {
          model,
          AUC: `${auc.toFixed(3)} (${reference.auc[0]})`,
          AP: `${ap.toFixed(3)} (${reference.averagePrecision[0]})`,
          'precision at 100': `${precisionAt100.toFixed(3)} (${reference.precisionAt100[0]})`,
          'within tolerance': withinTolerance,
        };
      }),
    );
  }
  return results.every(({ withinTolerance }) => withinTolerance) ? 0 : 3;
}

if (process.argv[1]?.endsWith('reproduceHandbook.js') === true) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!isTidemillError(error)) throw error;
    console.error(`${error.code}: ${messageOf(error)}\n${error.action}`);
    process.exitCode = error.description.exit;
  }
}
