import { describe, expect, test } from 'vitest';
import { judgeData, judgeDataSkew, type DatasetFacts } from '../../../../models/gates/dataGates.js';

const facts: DatasetFacts = {
  rows: 5_000,
  positives: 100,
  columns: ['a', 'b'],
  nullShares: [0, 0.1],
  labelledShare: 1,
};

function verdicts(changed: Partial<DatasetFacts>, reference: DatasetFacts | null = null): Record<string, string> {
  return Object.fromEntries(
    judgeData({ ...facts, ...changed }, undefined, reference).map(({ gate, verdict }) => [gate, verdict]),
  );
}

test('enough rows, positives and labels and few nulls pass', () => {
  expect(verdicts({})).toEqual({ rows: 'pass', positives: 'pass', nulls: 'pass', 'labelled share': 'pass' });
});

test('too little is inconclusive, a column of nulls fails and is named', () => {
  expect(verdicts({ rows: 0, positives: 0 })).toMatchObject({ rows: 'inconclusive', positives: 'inconclusive' });
  expect(verdicts({ labelledShare: 0.5 })).toMatchObject({ 'labelled share': 'inconclusive' });
  expect(verdicts({ nullShares: [0.2, 0.95] })).toMatchObject({ nulls: 'fail' });
  expect(judgeData({ ...facts, nullShares: [0.2, 0.95] })[2]?.reason).toBe('b is null in 95.0 % of the rows');
});

test('against a reference nulls may not rise and the share of positives not leap', () => {
  expect(verdicts({}, facts)).toMatchObject({ 'null rise': 'pass', 'label rate': 'pass' });
  expect(verdicts({ nullShares: [0.15, 0.1] }, facts)).toMatchObject({ 'null rise': 'fail', nulls: 'pass' });
  // Columns are matched by name.
  expect(verdicts({ columns: ['b', 'c'], nullShares: [0.15, 0.8] }, facts)).toMatchObject({ 'null rise': 'pass' });
  expect(verdicts({ positives: 1_000 }, facts)).toMatchObject({ 'label rate': 'fail' });
  expect(verdicts({ positives: 5 }, facts)).toMatchObject({ 'label rate': 'fail' });
  // Ten positives in a hundred where two were: too few rows to be sure that it is more than five times.
  expect(verdicts({ rows: 100, positives: 11 }, facts)).toMatchObject({ 'label rate': 'inconclusive' });
  expect(verdicts({ rows: 0, positives: 0 }, facts)).toMatchObject({ 'label rate': 'inconclusive' });
});

describe('skew of a dataset', () => {
  test('is judged on the rows that were served', () => {
    expect(judgeDataSkew({ ...facts, asServed: 2_000, skewed: 4 }, 0.01)).toMatchObject({
      gate: 'skew(0.01)',
      kind: 'data',
      verdict: 'pass',
      value: 0.002,
      rows: 2_000,
      positives: 4,
    });
    const failed = judgeDataSkew({ ...facts, asServed: 2_000, skewed: 60 }, 0.01);
    expect(failed).toMatchObject({ verdict: 'fail', value: 0.03 });
    expect(failed.low as number).toBeGreaterThan(0.01);
    expect(failed.reason).toBe('3.000 % of 2000 served rows differ from event time; below 1.000 % is asked');
    // Two of a hundred may be one of a hundred.
    expect(judgeDataSkew({ ...facts, asServed: 100, skewed: 2 }, 0.01)).toMatchObject({ verdict: 'inconclusive' });
  });

  test('has nothing to judge where nothing was served', () => {
    const verdict = judgeDataSkew({ ...facts, asServed: 0, skewed: 0 }, 0.01);
    expect(verdict).toMatchObject({ verdict: 'notApplicable', value: null, reason: 'none of 5000 rows was served' });
  });
});
