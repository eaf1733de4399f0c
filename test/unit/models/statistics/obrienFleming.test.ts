import { expect, test } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { normalQuantile } from '../../../../models/statistics/normal.js';
import { lookLevels, spentAlpha } from '../../../../models/statistics/obrienFleming.js';
import { seededRandom } from '../../../../models/statistics/random.js';

test('three equal looks have the published bounds', () => {
  const bounds = lookLevels([1 / 3, 2 / 3, 1], 0.025).map((level) => normalQuantile(1 - level));
  [3.7103, 2.5114, 1.993].forEach((bound, look) => expect(bounds[look]).toBeCloseTo(bound, 3));
});

test('one look has the whole level; an early look almost none', () => {
  expect(lookLevels([1], 0.05)[0]).toBeCloseTo(0.05, 10);
  expect(spentAlpha(1, 0.05)).toBeCloseTo(0.05, 12);
  const [early, late] = lookLevels([0.3, 1], 0.05) as [number, number];
  expect(early).toBeLessThan(0.001);
  expect(late).toBeGreaterThan(0.045);
});

test('tests that look three times pass by luck as often as alpha says', () => {
  const shares = [0.4, 0.7, 1];
  const levels = lookLevels(shares, 0.05);
  const bounds = levels.map((level) => normalQuantile(1 - level));
  const random = seededRandom('looks');
  const rounds = 200_000;
  let passed = 0;
  for (let round = 0; round < rounds; round++) {
    let score = 0;
    let before = 0;
    for (const [look, share] of shares.entries()) {
      score += Math.sqrt(share - before) * random.normal();
      before = share;
      if (score / Math.sqrt(share) > (bounds[look] as number)) {
        passed++;
        break;
      }
    }
  }
  expect(Math.abs(passed / rounds - 0.05)).toBeLessThan(4 * Math.sqrt((0.05 * 0.95) / rounds));
});

test.for([[[]], [[0.5]], [[0.5, 0.5, 1]], [[0, 1]], [[0.2, 0.4, 0.8, 1]], [[1, 0.5]]])(
  'shares %j are refused',
  ([shares]) => {
    try {
      lookLevels(shares as number[], 0.05);
      expect.unreachable();
    } catch (error) {
      expect(isTidemillError(error, 'DEFINITION_INVALID')).toBe(true);
    }
  },
);
