import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { beforeAll, describe, expect, test } from 'vitest';
import { exportModel } from '../../../activities/training/exportModel.js';
import { fitLogistic, type LogisticModel, logisticProbabilities } from '../../../models/logistic.js';
import { precisionAtTop } from '../../../models/metrics/precisionAtTop.js';
import { averagePrecision, rocAuc } from '../../../models/metrics/ranking.js';
import { inspectModel } from '../../../models/onnx/inspectModel.js';
import { sharedData } from '../../support/sharedData.js';

const folder = sharedData('goldens', 'fraud-models');
const features = sharedData('fraud', 'handbook-features-2018-07-25_2018-08-14.parquet');

interface Table {
  readonly train_rows: number;
  readonly train_frauds: number;
  readonly perfect_score_cp100: number;
  readonly train_transaction_id_range: readonly [number, number];
  readonly scores_as_written: Readonly<Record<string, { auc: number; ap: number; cp100: number }>>;
  readonly scaler: { readonly mean: number[]; readonly scale: number[]; readonly features: string[] };
  readonly logistic_regression_converged: { readonly coef: number[]; readonly intercept: number };
}

/** Columns of a zipped CSV with a header. */
function columnsOf(name: string): Map<string, Float64Array> {
  const [header, ...lines] = gunzipSync(readFileSync(`${folder}/${name}`))
    .toString('utf8')
    .trim()
    .split('\n');
  const cells = lines.map((line) => line.split(','));
  return new Map(
    (header as string).split(',').map((column, at) => [column, Float64Array.from(cells, (row) => Number(row[at]))]),
  );
}

const readTable = (): Table => JSON.parse(readFileSync(`${folder}/table.json`, 'utf8')) as Table;

/** The largest difference, relative where the expected value is above 1. */
function worst(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  let most = 0;
  for (let at = 0; at < expected.length; at++) {
    const value = expected[at] as number;
    const difference = Math.abs((found[at] as number) - value) / Math.max(1, Math.abs(value));
    // A NaN would pass every comparison of a maximum.
    expect(difference).not.toBeNaN();
    most = Math.max(most, difference);
  }
  return most;
}

interface Rows {
  readonly values: Float64Array;
  readonly labels: Float64Array;
}

/** Penalised loss (l2 = 1) and the greatest component of its gradient, written down a second time and plainly. */
function objective({ means, scales, weights, intercept }: LogisticModel, { values, labels }: Rows) {
  const gradient = [...weights, 0];
  let loss = weights.reduce((sum, weight) => sum + weight ** 2 / 2, 0);
  for (const [row, label] of labels.entries()) {
    const z = [...weights.keys()].map(
      (at) => ((values[row * weights.length + at] as number) - (means[at] as number)) / (scales[at] as number),
    );
    const margin = z.reduce((sum, each, at) => sum + each * (weights[at] as number), intercept);
    const probability = 1 / (1 + Math.exp(-margin));
    loss -= Math.log(label === 1 ? probability : 1 - probability);
    for (const [at, each] of [...z, 1].entries())
      gradient[at] = (gradient[at] as number) + (probability - label) * each;
  }
  return { loss, gradient: Math.max(...gradient.map(Math.abs)) };
}

describe.skipIf(folder === null)('metrics of the handbook’s scores', () => {
  const scores = folder === null ? new Map<string, Float64Array>() : columnsOf('test_scores.csv.gz');
  const column = (name: string): Float64Array => scores.get(name) as Float64Array;
  const atTop = (of: Float64Array): number | null =>
    precisionAtTop(100, {
      labels: column('TX_FRAUD'),
      scores: of,
      days: column('DAY'),
      entities: [...column('CUSTOMER_ID')],
    });

  test.each(['lr', 'dt2', 'rf', 'xgb_default', 'xgb_100_01_3'])('%s', (model) => {
    const expected = readTable().scores_as_written[model] as { auc: number; ap: number; cp100: number };
    const found = [rocAuc, averagePrecision].map((metric) => metric(column('TX_FRAUD'), column(model)) as number);
    expect(worst([...found, atTop(column(model)) as number], [expected.auc, expected.ap, expected.cp100])).toBeLessThan(
      1e-9,
    );
  });

  test('a perfect score reaches the ceiling of precision at 100', () => {
    expect(atTop(column('TX_FRAUD'))).toBeCloseTo(readTable().perfect_score_cp100, 9);
  });
});

describe.skipIf(folder === null || features === null)('logistic regression on the handbook’s split', () => {
  let names: string[];
  let model: LogisticModel;
  let train: Rows;
  /** Rows of transaction ids from..to, row-major, and their labels. */
  const load = async (where: string): Promise<Rows> => {
    const connection = await (await DuckDBInstance.create()).connect();
    const reader = await connection.runAndReadAll(
      `SELECT ${names.map((name) => `CAST(${name} AS DOUBLE)`).join(', ')}, CAST(TX_FRAUD AS DOUBLE)
       FROM read_parquet('${features}') WHERE ${where} ORDER BY TRANSACTION_ID`,
    );
    connection.closeSync();
    const rows = reader.getRows() as number[][];
    return {
      values: Float64Array.from(rows.flatMap((row) => row.slice(0, -1))),
      labels: Float64Array.from(rows, (row) => row.at(-1) as number),
    };
  };
  beforeAll(async () => {
    const table = readTable();
    names = table.scaler.features;
    const [from, to] = table.train_transaction_id_range;
    train = await load(`TRANSACTION_ID BETWEEN ${from} AND ${to}`);
    expect(train.labels.length).toBe(table.train_rows);
    expect(train.labels.reduce((sum, label) => sum + label, 0)).toBe(table.train_frauds);
    model = fitLogistic(train.values, names.length, train.labels, { l2: 1, maxIterations: 100, columnNames: names });
  });

  test('standardises on the training rows as the reference does', () => {
    const { scaler } = readTable();
    expect(worst(model.means, scaler.mean)).toBeLessThan(1e-9);
    expect(worst(model.scales, scaler.scale)).toBeLessThan(1e-9);
  });

  test('finds the optimum that scikit-learn comes near to', () => {
    const expected = readTable().logistic_regression_converged;
    const reference: LogisticModel = {
      ...model,
      weights: Float64Array.from(expected.coef),
      intercept: expected.intercept,
    };
    // The reference stopped with a gradient of 2e-4, so it is the less exact of the two, and the bound is for it.
    const own = objective(model, train);
    expect(own.gradient).toBeLessThan(1e-9);
    expect(own.loss).toBeLessThanOrEqual(objective(reference, train).loss);
    expect(worst(model.weights, expected.coef)).toBeLessThan(1e-5);
    expect(Math.abs(model.intercept - expected.intercept)).toBeLessThan(1e-5);
  });

  test('gives its probabilities, and so does its export', async () => {
    const predictions = columnsOf('test2000_predictions.csv.gz');
    const ids = [...(predictions.get('TRANSACTION_ID') as Float64Array)];
    const { values } = await load(`TRANSACTION_ID IN (${ids.join(',')})`);
    const native = logisticProbabilities(model, values, ids.length);
    const expected = predictions.get('lr_converged_prob') as Float64Array;
    expect(worst(native, expected)).toBeLessThan(1e-5);
    // By the reference's own coefficients: the prediction alone.
    const { scaler, logistic_regression_converged: fitted } = readTable();
    const reference: LogisticModel = {
      means: Float64Array.from(scaler.mean),
      scales: Float64Array.from(scaler.scale),
      weights: Float64Array.from(fitted.coef),
      intercept: fitted.intercept,
    };
    expect(worst(logisticProbabilities(reference, values, ids.length), expected)).toBeLessThan(1e-9);
    const { parity } = await exportModel(
      { kind: 'logistic', model },
      { rows: ids.length, columns: names.length, values, native },
    );
    expect(parity.rows).toBe(2_000);
    expect(parity.maxDifference).toBeLessThan(1e-6);
    expect(parity.maxDifference).toBeGreaterThan(0);
  });
});

describe.skipIf(folder === null)('model files of other writers', () => {
  test.each([
    ['lr_converged.onnx', 'ai.onnx.ml:LinearClassifier'],
    ['dt2.onnx', 'ai.onnx.ml:TreeEnsembleClassifier'],
    ['xgb_default.onnx', 'ai.onnx.ml:TreeEnsembleClassifier'],
    ['lgb_50_03_3.onnx', 'ai.onnx.ml:TreeEnsembleClassifier'],
  ])('%s is looked through', (file, operator) => {
    expect(inspectModel(readFileSync(`${folder}/${file}`), file)).toContain(operator);
  });
});
