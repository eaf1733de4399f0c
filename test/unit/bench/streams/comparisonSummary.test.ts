import { expect, test } from 'vitest';
import { rotated, type ComparedRun } from '../../../../bench/streams/comparePrograms.js';
import { flatness, rangeOf, summarise } from '../../../../bench/streams/comparisonSummary.js';

function run(program: string, keys: number, round: number, seconds: number, cpuSeconds: number): ComparedRun {
  const start = { startSeconds: 1, startCpuSeconds: 1 };
  return { program, keys, round, results: 10, seconds, cpuSeconds, peakMb: 100, ...start };
}

test('the median of an even number of rounds lies between the middle two', () => {
  expect(rangeOf([4, 1, 3, 2], 1)).toEqual({ median: 2.5, least: 1, greatest: 4 });
  expect(rangeOf([30, 10, 20], 0)).toEqual({ median: 20, least: 10, greatest: 30 });
});

test('figures are summarised by program and number of keys', () => {
  const runs = [run('a', 10, 1, 2, 1), run('b', 10, 1, 4, 8), run('a', 10, 2, 4, 3), run('a', 1_000, 1, 4, 3)];
  const summaries = summarise(runs, 2_000_000);
  expect(summaries.map(({ program, keys, rounds }) => [program, keys, rounds])).toEqual([
    ['a', 10, 2],
    ['b', 10, 1],
    ['a', 1_000, 1],
  ]);
  expect(summaries[0]?.eventsPerSecond).toEqual({ median: 750_000, least: 500_000, greatest: 1_000_000 });
  expect(summaries[0]?.cpuSecondsPerMillion.median).toBe(1);
  expect(flatness(summaries)).toEqual([{ program: 'a', ratio: 1.5 }]);
});

test('each round begins with another program and leaves none out', () => {
  const list = ['a', 'b', 'c', 'd', 'e'];
  const rounds = [0, 1, 2, 3, 4].map((round) => rotated(list, round));
  expect(new Set(rounds.map(([first]) => first)).size).toBe(list.length);
  for (const round of rounds) expect([...round].sort()).toEqual(list);
});
