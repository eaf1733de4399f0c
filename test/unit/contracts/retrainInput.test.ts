import { describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { checkRetrainInput } from '../../../contracts/schemas/retrainInput.js';

function message(input: unknown): string {
  try {
    checkRetrainInput(input);
    return 'accepted';
  } catch (error) {
    if (isTidemillError(error, 'INPUT_INVALID')) return error.message;
    throw error;
  }
}

describe('the input of retrainModel', () => {
  test('needs nothing but the model', () => {
    expect(message({ model: 'fraud' })).toBe('accepted');
    expect(
      message({ model: 'fraud', trigger: { kind: 'drift', onset: '2018-06-08T00:00:00Z' }, allowNoInstances: true }),
    ).toBe('accepted');
  });

  test.each([
    [{}, /model/],
    [{ model: 5 }, /model.*found 5/],
    [{ model: 'fraud', modle: 'x' }, /modle/],
    [{ model: 'fraud', trigger: { kind: 'whim' } }, /trigger/],
    [{ model: 'fraud', trigger: { kind: 'drift' } }, /onset/],
    [{ model: 'fraud', trigger: { kind: 'drift', onset: 'yesterday' } }, /trigger/],
    ['fraud', /the input/],
  ])('%j is refused by name', (input, expected) => {
    expect(message(input)).toMatch(expected);
  });
});
