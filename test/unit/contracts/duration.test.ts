import { expect, test } from 'vitest';
import { durationMs, formatDuration } from '../../../contracts/duration.js';
import { isTidemillError } from '../../../contracts/errors.js';

test.each([
  ['500ms', 500],
  ['90s', 90_000],
  ['10m', 600_000],
  ['6h', 21_600_000],
  ['7d', 604_800_000],
  [1_500, 1_500],
  ['0ms', 0],
] as const)('%s is %i ms', (text, ms) => {
  expect(durationMs(text)).toBe(ms);
});

test.each(['', '7', '7 d', '-1d', '1.5h', '7w', 'P7D', '99999999999999d', -1, 0.5, Number.NaN])(
  '%j is refused with the value at fault',
  (text) => {
    let thrown: unknown;
    try {
      durationMs(text);
    } catch (error) {
      thrown = error;
    }
    expect(isTidemillError(thrown, 'DEFINITION_INVALID')).toBe(true);
    expect((thrown as Error).message).toContain(JSON.stringify(text));
  },
);

test('a duration is written in the greatest unit that is exact, and read back as itself', () => {
  for (const ms of [0, 1, 999, 1_000, 90_000, 3_600_000, 86_400_000, 604_800_000, 86_400_001]) {
    expect(durationMs(formatDuration(ms))).toBe(ms);
  }
  expect(formatDuration(604_800_000)).toBe('7d');
  expect(formatDuration(90_000)).toBe('90s');
});
