import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { parseBooster } from '../../../models/onnx/booster.js';
import { boosterToOnnx } from '../../../models/onnx/treeEnsemble.js';
import { OnnxModel } from '../../../scoring/onnxModel.js';
import { sharedData } from '../../support/sharedData.js';

const folder = sharedData('goldens', 'fraud-models');
const read = (name: string): string => gunzipSync(readFileSync(`${folder}/${name}`)).toString('utf8');

/** Rows of a CSV with a header, by column name. */
function csv(name: string): Record<string, number>[] {
  const [header, ...lines] = read(name).trim().split('\n');
  const names = (header as string).split(',');
  return lines.map((line) =>
    Object.fromEntries(line.split(',').map((cell, at) => [names[at] as string, Number(cell)])),
  );
}

async function margins(model: string, rows: readonly (readonly number[])[]): Promise<Float32Array> {
  const booster = parseBooster(read(model));
  const loaded = await OnnxModel.load(boosterToOnnx(booster), booster.columns, model);
  const values = Float32Array.from(rows.flat());
  const result = await loaded.margins(values, rows.length);
  await loaded.close();
  return result;
}

describe.skipIf(folder === null)('boosters of XGBoost, exported to ONNX', () => {
  test.each([
    ['xgb_default.xgb.json.gz', 'xgb_default'],
    ['xgb_100_01_3.xgb.json.gz', 'xgb_100_01_3'],
    ['xgb_exact_default.xgb.json.gz', 'xgb_exact_default'],
    ['xgb_exact_default_base05.xgb.json.gz', 'xgb_exact_default_base05'],
    ['xgb_exact_100_01_3.xgb.json.gz', 'xgb_exact_100_01_3'],
    ['xgb_exact_1_1_3.xgb.json.gz', 'xgb_exact_1_1_3'],
  ])('%s gives its margins', async (file, name) => {
    const features = csv('test2000_features.csv.gz');
    const predictions = csv('test2000_predictions.csv.gz');
    const names = Object.keys(features[0] as object).filter(
      (column) => !['TRANSACTION_ID', 'TX_FRAUD', 'CUSTOMER_ID', 'DAY'].includes(column),
    );
    expect(names).toHaveLength(15);
    const result = await margins(
      file,
      features.map((row) => names.map((each) => row[each] as number)),
    );
    for (const [row, expected] of predictions.entries())
      expect(Math.abs((result[row] as number) - (expected[`${name}_margin`] as number))).toBeLessThan(1e-5);
  });

  test('missing values go where the booster sends them', async () => {
    const missing = JSON.parse(read('xgb_missing.json.gz')) as {
      X?: (number | null)[][];
      rows?: (number | null)[][];
      margin?: number[];
      margins?: number[];
    };
    const rows = missing.X ?? missing.rows;
    const expected = missing.margin ?? missing.margins;
    if (rows === undefined || expected === undefined) throw new Error(`keys: ${Object.keys(missing).join(', ')}`);
    const result = await margins(
      'xgb_missing.xgb.json.gz',
      rows.map((row) => row.map((value) => value ?? Number.NaN)),
    );
    for (const [row, value] of expected.entries()) expect(Math.abs((result[row] as number) - value)).toBeLessThan(1e-5);
  });
});
