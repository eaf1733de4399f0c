import { describe, expect, test } from 'vitest';
import { eventStream, t } from '../../../index.js';
import { TidemillError } from '../../../contracts/errors.js';
import { checkFuture, formatEvent, parseEvent } from '../../../features/eventContract.js';

const { compiled: payments } = eventStream('payments', {
  schema: {
    id: t.int(),
    at: t.timestamp(),
    card: t.int(),
    amount: t.decimal(2),
    ratio: t.double().nullable(),
    note: t.string().nullable(),
  },
  eventId: 'id',
  eventTime: 'at',
  key: 'card',
  maxFuture: '1h',
});

const good = { id: 7, at: '2018-04-01T00:00:31Z', card: 3, amount: 12.34, ratio: 0.5, note: 'x' };

function failure(act: () => unknown): { code: string; message: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof TidemillError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a record', () => {
  test('becomes an event: decimals scaled, times in milliseconds, absent optional fields null', () => {
    const event = parseEvent(payments, JSON.stringify({ ...good, note: undefined, more: 'ignored' }));
    expect(event).toEqual({ time: 1522540831000, id: 7, values: [7, 1522540831000, 3, 1234, 0.5, null] });
  });

  test('reads back from its own text', () => {
    const event = parseEvent(payments, JSON.stringify(good));
    expect(parseEvent(payments, formatEvent(payments, event))).toEqual(event);
  });

  test.each([
    ['an empty value', '', 'EVENT_MALFORMED'],
    ['torn JSON', '{"id": 1', 'EVENT_MALFORMED'],
    ['an array', '[1]', 'EVENT_MALFORMED'],
    ['a bare NaN', '{"id": 1, "at": 0, "card": 1, "amount": NaN}', 'EVENT_MALFORMED'],
  ])('that is %s is malformed', (_, text, code) => {
    expect(failure(() => parseEvent(payments, text)).code).toBe(code);
  });

  test.each([
    ['amount', 'NaN', 'EVENT_FIELD_INVALID', /payments\.amount: "NaN" is not a decimal\(2\)/],
    ['amount', 1.234, 'EVENT_FIELD_INVALID', /1\.234 has more than 2 decimals/],
    ['amount', 1e300, 'EVENT_INTEGER_UNSAFE', /1e\+300 lies beyond 2\^53 - 1/],
    ['amount', null, 'EVENT_FIELD_INVALID', /payments\.amount is required/],
    ['id', 9007199254740992, 'EVENT_INTEGER_UNSAFE', /payments\.id: 9007199254740992/],
    ['id', 1.5, 'EVENT_FIELD_INVALID', /1\.5 is not an integer/],
    ['at', '2018-04-01 00:00', 'EVENT_FIELD_INVALID', /ISO 8601/],
    ['note', 5, 'EVENT_FIELD_INVALID', /5 is not a string/],
  ])('with %s = %s is refused by name', (field, value, code, message) => {
    const error = failure(() => parseEvent(payments, JSON.stringify({ ...good, [field]: value })));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('whose time is further ahead of its log timestamp than maxFuture is refused', () => {
    const log = Date.parse('2026-01-01T00:00:00Z');
    expect(() => checkFuture(payments, log + 3_600_000, log)).not.toThrow();
    expect(failure(() => checkFuture(payments, log + 365 * 86_400_000, log)).code).toBe('EVENT_TIME_IN_FUTURE');
  });
});
