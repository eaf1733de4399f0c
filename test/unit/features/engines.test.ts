import { describe, expect, test } from 'vitest';
import { fuzz } from '../../../bench/fuzz/fuzz.js';

describe('every engine', () => {
  test('means what the interpreter means, on random definitions and logs', async () => {
    const problems: unknown[] = [];
    const result = await fuzz({
      cases: 150,
      seed: 7,
      onFailure: (smallest, differences) => problems.push(differences, smallest),
    });
    expect(problems).toEqual([]);
    expect(result).toMatchObject({ cases: 150, failures: 0 });
  });
});
