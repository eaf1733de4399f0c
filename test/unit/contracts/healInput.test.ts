import { describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { greaterChange, healId, type ValueChange } from '../../../contracts/healing.js';
import { checkHealInput, healTimes } from '../../../contracts/schemas/healInput.js';

function message(input: unknown): string {
  try {
    checkHealInput(input);
    return 'accepted';
  } catch (error) {
    if (isTidemillError(error, 'INPUT_INVALID')) return error.message;
    throw error;
  }
}

describe('the input of healFeatures', () => {
  test('needs nothing but the view; times that it does not name bound nothing', () => {
    expect(message({ view: 'spending' })).toBe('accepted');
    expect(healTimes({ view: 'spending' })).toEqual({ from: null, to: null });
    const whole = { view: 'spending', from: '2024-03-01', to: '2024-03-02T00:00Z', plan: true };
    expect(message(whole)).toBe('accepted');
    expect(healTimes(whole)).toEqual({ from: Date.UTC(2024, 2, 1), to: Date.UTC(2024, 2, 2) });
  });

  test.each([
    [{}, /view/],
    [{ view: '' }, /view/],
    [{ view: 'spending', form: '2024-03-01' }, /form/],
    [{ view: 'spending', from: 'yesterday' }, /from: yesterday/],
    [{ view: 'spending', from: '2024-03-01T00:00:00' }, /from/],
    [{ view: 'spending', from: '2024-03-02', to: '2024-03-02' }, /to: .*not after/],
    [{ view: 'spending', plan: 'yes' }, /plan/],
    [null, /the input/],
  ])('%j is refused by name', (input, expected) => {
    expect(message(input)).toMatch(expected);
  });

  test('names the workflow by its view: one of a view runs at a time', () => {
    expect(healId('shop', { view: 'spending', from: '2024-03-01' })).toBe('shop/heal/spending');
  });
});

describe('the greatest change', () => {
  const change = (before: number | null, after: number | null): ValueChange => ({
    key: 1,
    feature: 'sum',
    before,
    after,
  });

  test.each([
    [null, change(1, 2), change(1, 2)],
    [change(1, 2), null, change(1, 2)],
    [change(1, 2), change(5, 3), change(5, 3)],
    [change(5, 3), change(1, 2), change(5, 3)],
    [change(0, 1_000), change(null, 1), change(null, 1)],
    [change(1, 2), change(3, 4), change(1, 2)],
  ])('of %j and %j is %j', (a, b, expected) => {
    expect(greaterChange(a, b)).toEqual(expected);
  });
});
