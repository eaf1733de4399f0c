import { describe, expect, test } from 'vitest';
import { armOf, splitPlace, splitUnit } from '../../../scoring/split.js';
import { partitionOf } from '../../../stores/log/partitioner.js';

const UNITS = 20_000;
const units = Array.from({ length: UNITS }, (_, at) => String(at));
const isIn = (share: number, salt: string) => (unit: string) =>
  armOf({ mode: 'canary', share, salt }, unit) === 'challenger';

/** Chi-square statistic of counts against equal expectations. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('the split of a canary', () => {
  test('is the same in every process and on every platform', () => {
    expect(['7', 'café', 'c-1001', ''].map((unit) => splitPlace('fraud/3', unit))).toMatchInlineSnapshot(`
      [
        0.1566155394539237,
        0.2146509315352887,
        0.21893789479508996,
        0.08573627495206892,
      ]
    `);
    expect(splitUnit(7, 99)).toBe('7');
    expect(splitUnit(null, 99)).toBe('99');
  });

  test('spreads units evenly, whatever they look like', () => {
    const kinds: readonly ((at: number) => string)[] = [
      (at) => String(at),
      (at) => String(1_000_000 + 4 * at),
      (at) => `customer-${at}`,
      (at) => String(at).padStart(16, '0'),
    ];
    for (const salt of ['', 'a', 'fraud/1', 'fraud/2']) {
      for (const kind of kinds) {
        const counts = new Array<number>(100).fill(0);
        for (let at = 0; at < UNITS; at++) {
          const bin = Math.floor(splitPlace(salt, kind(at)) * 100);
          counts[bin] = (counts[bin] as number) + 1;
        }
        // 99 degrees of freedom: above 159 once in ten thousand draws.
        expect(chiSquare(counts)).toBeLessThan(159);
      }
    }
  });

  test('keeps who is in at a share in at every greater one, and takes all at 1 and none at 0', () => {
    const shares = [0, 0.001, 0.1, 0.25, 0.5, 0.99, 1];
    const broken = units.filter((unit) => {
      const arms = shares.map((share) => isIn(share, 'fraud/1')(unit));
      return arms[0] === true || arms.at(-1) === false || !arms.slice(arms.indexOf(true)).every(Boolean);
    });
    expect(broken).toEqual([]);
  });

  test('draws anew with another salt', () => {
    const both = units.filter((unit) => isIn(0.5, 'fraud/1')(unit) && isIn(0.5, 'fraud/2')(unit)).length;
    // Binomial (20,000, 1/4): four standard deviations are 245.
    expect(Math.abs(both - UNITS / 4)).toBeLessThan(245);
  });

  test('has nothing to do with partitions: each has its share', () => {
    for (const partitions of [2, 3, 8]) {
      const inside = new Array<number>(partitions).fill(0);
      const all = new Array<number>(partitions).fill(0);
      for (const unit of units) {
        const partition = partitionOf(unit, partitions);
        all[partition] = (all[partition] as number) + 1;
        if (isIn(0.1, 'fraud/1')(unit)) inside[partition] = (inside[partition] as number) + 1;
      }
      for (const [partition, count] of inside.entries()) {
        const rows = all[partition] as number;
        expect(Math.abs(count - rows * 0.1)).toBeLessThan(4 * Math.sqrt(rows * 0.09));
      }
    }
  });

  test('is the champion’s alone outside a canary', () => {
    for (const mode of ['single', 'shadow'] as const) {
      expect(units.every((unit) => armOf({ mode, share: 1, salt: 's' }, unit) === 'champion')).toBe(true);
    }
  });
});
