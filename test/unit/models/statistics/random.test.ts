import { expect, test } from 'vitest';
import { seededRandom, randomFromState } from '../../../../models/statistics/random.js';

test('xoshiro128** gives the published sequence from the state 1, 2, 3, 4', () => {
  const random = randomFromState([1, 2, 3, 4]);
  expect(Array.from({ length: 10 }, () => random.word())).toEqual([
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ]);
});

test('equal seeds give equal numbers, other seeds others', () => {
  const draw = (seed: string | number): number[] => {
    const random = seededRandom(seed);
    return Array.from({ length: 5 }, () => random.word());
  };
  expect(draw('fraud/1/2')).toEqual(draw('fraud/1/2'));
  const firsts = new Set(Array.from({ length: 1_000 }, (_, seed) => draw(seed)[0]));
  expect(firsts.size).toBe(1_000);
});

test('numbers below a bound are equally likely; uniform and normal numbers have their moments', () => {
  const random = seededRandom('moments');
  const counts = new Int32Array(7);
  let [uniform, normal, squares] = [0, 0, 0];
  const draws = 70_000;
  for (let draw = 0; draw < draws; draw++) {
    const face = random.below(7);
    counts[face] = (counts[face] as number) + 1;
    uniform += random.next();
    const value = random.normal();
    normal += value;
    squares += value * value;
  }
  // Six standard deviations.
  for (const count of counts) expect(Math.abs(count - draws / 7)).toBeLessThan(6 * Math.sqrt((draws * 6) / 49));
  expect(Math.abs(uniform / draws - 0.5)).toBeLessThan(6 * Math.sqrt(1 / 12 / draws));
  expect(Math.abs(normal / draws)).toBeLessThan(6 / Math.sqrt(draws));
  expect(Math.abs(squares / draws - 1)).toBeLessThan(6 * Math.sqrt(2 / draws));
});
