import { describe, expect, test } from 'vitest';
import { RowSampler, servedRow, vectorOf } from '../../../../activities/audit/sampleRows.js';
import { seededRandom } from '../../../../models/statistics/random.js';
import { predictionOf } from '../../../support/predictions.js';

interface Row {
  readonly partition: number;
  readonly offset: number;
}
const rows = Array.from({ length: 4_000 }, (_, at): Row => ({ partition: at % 4, offset: Math.floor(at / 4) }));

function drawn(from: readonly Row[], size: number, seed: string): readonly Row[] {
  const sampler = new RowSampler<Row>(size, seed);
  for (const row of from) sampler.add(row);
  return sampler.rows();
}
const shuffled = (random = seededRandom(7)): Row[] => {
  const turned = [...rows];
  for (let at = turned.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [turned[at], turned[other]] = [turned[other] as Row, turned[at] as Row];
  }
  return turned;
};

describe('a sample of rows', () => {
  test('is the same in whatever order rows come, and however often', () => {
    const sample = drawn(rows, 100, 'a');
    expect(sample).toHaveLength(100);
    expect(drawn(shuffled(), 100, 'a')).toEqual(sample);
    expect(drawn([...rows, ...rows.slice(0, 2_000)], 100, 'a')).toEqual(sample);
    expect(drawn(rows, 100, 'b')).not.toEqual(sample);
  });

  test('of samples of parts is that of the whole', () => {
    const parts = [drawn(rows.slice(0, 1_500), 100, 'a'), drawn(rows.slice(1_500), 100, 'a')].flat();
    expect(drawn(parts, 100, 'a')).toEqual(drawn(rows, 100, 'a'));
  });

  test('has all rows where there are no more than it may have', () => {
    expect(drawn(rows.slice(0, 50), 100, 'a')).toHaveLength(50);
    expect(drawn(rows.slice(0, 100), 100, 'a')).toHaveLength(100);
  });

  test('has each row as likely as any other', () => {
    const perQuarter = [0, 0, 0, 0];
    for (let seed = 0; seed < 40; seed++)
      for (const { offset } of drawn(rows, 100, String(seed))) perQuarter[Math.floor(offset / 250)]!++;
    // 1,000 expected in each, sd 27.
    for (const count of perQuarter) expect(Math.abs(count - 1_000)).toBeLessThan(140);
  });
});

describe('the vector of a service in a prediction', () => {
  const prediction = predictionOf({ service: 'old', vector: [1], also: [{ service: 'new', vector: [2] }] });

  test('is that of the version which served, or one that was computed beside it', () => {
    expect(vectorOf(prediction, 'old')).toEqual([1]);
    expect(vectorOf(prediction, 'new')).toEqual([2]);
    expect(vectorOf(prediction, 'other')).toBeNull();
  });

  test('is audited at the place of its request, by whomever it was answered', () => {
    const row = servedRow({ ...prediction, version: 0 }, 5, { service: 'new', vector: [2] });
    expect(row).toMatchObject({ partition: 0, offset: 7, service: 'new', vector: [2], isByRules: true, appendedAt: 5 });
    expect(servedRow(prediction, 5)).toMatchObject({ service: 'old', vector: [1], isByRules: false });
  });
});
