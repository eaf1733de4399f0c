import { describe, expect, test } from 'vitest';
import { auditId, auditRange } from '../../../contracts/consistency.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { checkAuditInput } from '../../../contracts/schemas/auditInput.js';

function message(input: unknown): string {
  try {
    checkAuditInput(input);
    return 'accepted';
  } catch (error) {
    if (isTidemillError(error, 'INPUT_INVALID')) return error.message;
    throw error;
  }
}

describe('the input of consistencyAudit', () => {
  test('needs nothing but the model', () => {
    expect(message({ model: 'fraud' })).toBe('accepted');
    const whole = { model: 'fraud', from: '2024-03-01T00:00:00Z', to: '2024-03-02T00:00Z', sample: 100_000 };
    expect(message(whole)).toBe('accepted');
  });

  test.each([
    [{}, /model/],
    [{ model: 'fraud', form: '2024-03-01T00:00:00Z' }, /form/],
    [{ model: 'fraud', from: 'yesterday' }, /from.*yesterday/],
    [{ model: 'fraud', to: '2024-13-01T00:00:00Z' }, /to: .*no time of the calendar/],
    [{ model: 'fraud', from: '2024-03-02T00:00:00Z', to: '2024-03-02T00:00:00Z' }, /to: .*not after from/],
    [{ model: 'fraud', sample: 0 }, /sample.*found 0/],
    [{ model: 'fraud', sample: 100_001 }, /sample/],
    [null, /the input/],
  ])('%j is refused by name', (input, expected) => {
    expect(message(input)).toMatch(expected);
  });

  test('names the workflow by its range', () => {
    const range = auditRange({ from: '2024-03-01T00:00:00Z' });
    expect(auditId('shop', 'fraud', range ?? '')).toBe('shop/audit/fraud/2024-03-01T00:00:00Z..final');
    expect(auditRange({ sample: 5 })).toBeNull();
  });
});
