import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../../contracts/errorCodes.js';
import { isTidemillError, TidemillError } from '../../../contracts/errors.js';

test('an error carries its code, the values at fault and what to do', () => {
  const error = new TidemillError('EVENT_FIELD_INVALID', 'amount "abc" is not a decimal(2)', {
    field: 'amount',
    value: 'abc',
  });
  expect(isTidemillError(error, 'EVENT_FIELD_INVALID')).toBe(true);
  expect(isTidemillError(error, 'EVENT_MALFORMED')).toBe(false);
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    code: 'EVENT_FIELD_INVALID',
    message: 'amount "abc" is not a decimal(2)',
    hint: ERROR_CODES.EVENT_FIELD_INVALID.action,
    details: { field: 'amount', value: 'abc' },
  });
});

test('every code says in full sentences what is wrong and what to do', () => {
  for (const [code, { summary, action, status }] of Object.entries(ERROR_CODES)) {
    expect(code).toMatch(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/);
    expect(summary, code).toMatch(/^[A-Z].*\.$/s);
    expect(action, code).toMatch(/^[A-Z].*\.$/s);
    expect(status, code).toBeGreaterThanOrEqual(400);
  }
});
