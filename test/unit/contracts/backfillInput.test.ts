import { describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { backfillParts, checkBackfillInput } from '../../../contracts/schemas/backfillInput.js';

const input = { view: 'spending', from: '2024-01-01', to: '2024-01-03' };
const HOUR = 3_600_000;

describe('the input of a backfill', () => {
  test.each([
    ['view', {}],
    ['view', { ...input, view: '' }],
    ['from', { ...input, from: 'yesterday' }],
    ['from', { ...input, from: '2024-01-01T10:00' }],
    ['to', { ...input, to: input.from }],
    ['shares', { ...input, shares: 0 }],
    ['slice', { ...input, slice: '1 day' }],
    ['slice', { ...input, slice: '0h' }],
    ['slice', { ...input, slice: '1m' }],
    ['model', { ...input, model: 'fraud' }],
  ])('is refused for a wrong %s', (field, wrong) => {
    let message = '';
    try {
      checkBackfillInput(wrong);
    } catch (error) {
      message = isTidemillError(error, 'INPUT_INVALID') ? error.message : String(error);
    }
    expect(message).toContain(`backfillFeatures: ${field}`);
  });

  test('becomes parts that cover the range once for every share', () => {
    const parts = backfillParts({ ...checkBackfillInput(input), shares: 2, slice: '36h' });
    const from = Date.parse(input.from);
    expect(parts).toEqual([
      { from, to: from + 36 * HOUR, share: 0, shares: 2 },
      { from, to: from + 36 * HOUR, share: 1, shares: 2 },
      { from: from + 36 * HOUR, to: from + 48 * HOUR, share: 0, shares: 2 },
      { from: from + 36 * HOUR, to: from + 48 * HOUR, share: 1, shares: 2 },
    ]);
  });
});
