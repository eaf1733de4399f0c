import { describe, expect, test } from 'vitest';
import { compareWithHandbook, type Mismatch } from '../../../examples/fraud/golden.js';
import { sharedData } from '../../support/sharedData.js';

const transactions = sharedData('fraud');
const expected = sharedData('fraud', 'handbook-features-2018-07-25_2018-08-14.parquet');

describe.skipIf(transactions === null || expected === null)('the handbook’s 15 inputs', () => {
  test('come out of every engine for every row', { timeout: 600_000 }, async () => {
    const mismatches: Mismatch[] = [];
    const results = await compareWithHandbook({
      transactions: transactions as string,
      expected: expected as string,
      engines: ['interpreter', 'duckdb', 'operator'],
      onMismatch: (mismatch) => mismatches.push(mismatch),
    });
    expect(mismatches.slice(0, 10)).toEqual([]);
    expect(results.map(({ engine, rows, values, mismatches: count }) => ({ engine, rows, values, count }))).toEqual([
      { engine: 'interpreter', rows: 2_000, values: 30_000, count: 0 },
      { engine: 'duckdb', rows: 201_295, values: 3_019_425, count: 0 },
      { engine: 'operator', rows: 201_295, values: 3_019_425, count: 0 },
    ]);
  });
});
