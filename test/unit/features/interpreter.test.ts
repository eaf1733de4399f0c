import { describe, expect, test } from 'vitest';
import { count, entity, eventStream, featureView, mean, sum, t } from '../../../index.js';
import { interpretView } from '../../../features/interpreter.js';
import type { LoggedEvent, Value } from '../../../features/types.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const card = entity('card', t.int());
const payments = eventStream('payments', {
  schema: {
    id: t.int(),
    at: t.timestamp(),
    card: t.int(),
    amount: t.decimal(2).nullable(),
    ratio: t.double().nullable(),
  },
  eventId: 'id',
  eventTime: 'at',
  key: 'card',
});

function view(options: { include?: 'request' | 'past'; ttl?: string; delay?: string } = {}) {
  return featureView('payments_by_card', {
    entity: card,
    from: payments,
    key: 'card',
    ...(options.include === undefined ? {} : { include: options.include }),
    ...(options.ttl === undefined ? {} : { ttl: options.ttl }),
    features: ({ amount, ratio }) => ({
      payments: options.delay === undefined ? count().over('1d') : count().over('1d').delay(options.delay),
      total: sum(amount).over('1d'),
      average: mean(amount).over('1d').orElse(0),
      ratios: sum(ratio).over('1d'),
      large: count().where(amount.gt(5)).over('1d'),
    }),
  }).compiled;
}

let nextOffset = 0;
function payment(time: number, id: number, amount: number | null, ratio: number | null = null): LoggedEvent {
  return { time, id, values: [id, time, 1, amount, ratio], partition: 0, offset: nextOffset++ };
}

function featuresAt(
  events: readonly LoggedEvent[],
  time: number,
  id: number | null,
  options = {},
  own = true,
): Record<string, Value> {
  const compiled = view(options);
  const { values } = interpretView(compiled, events, { time, id }, own);
  return Object.fromEntries(compiled.features.map(({ name }, at) => [name, values[at] as Value]));
}

describe('a sliding window', () => {
  const events = [payment(10 * HOUR, 1, 400), payment(20 * HOUR, 2, 600)];

  test('holds events of age below its length: an event exactly as old as the window is out', () => {
    expect(featuresAt(events, 20 * HOUR + DAY - 1, null)).toMatchObject({ payments_1d: 1, average_1d: 6 });
    expect(featuresAt(events, 20 * HOUR + DAY, null)).toMatchObject({ payments_1d: 0, total_1d: null, average_1d: 0 });
  });

  test('shows the event at the position itself only with include: request', () => {
    expect(featuresAt(events, 20 * HOUR, 2)).toMatchObject({ payments_1d: 1 });
    expect(featuresAt(events, 20 * HOUR, 2, { include: 'request' })).toMatchObject({ payments_1d: 2 });
  });

  test('among equal times shows events with lower ids, whatever arrived first', () => {
    const tied = [payment(HOUR, 30, 100), payment(HOUR, 10, 100), payment(HOUR, 20, 100)];
    expect(featuresAt(tied, HOUR, 10)).toMatchObject({ payments_1d: 0 });
    expect(featuresAt(tied, HOUR, 20)).toMatchObject({ payments_1d: 1 });
    expect(featuresAt(tied, HOUR, 30, { include: 'request' })).toMatchObject({ payments_1d: 3 });
    expect(featuresAt(tied, HOUR, null)).toMatchObject({ payments_1d: 0 });
  });

  test('of another stream shows events up to the same time, whatever their ids', () => {
    expect(featuresAt(events, 20 * HOUR, null, {}, false)).toMatchObject({ payments_1d: 2 });
  });

  test('with a delay is the window as it was then, after all ids', () => {
    const delayed = (time: number): Value | undefined => featuresAt(events, time, 0, { delay: '1h' })['payments_1d'];
    expect([delayed(21 * HOUR - 1), delayed(21 * HOUR), delayed(35 * HOUR - 1), delayed(35 * HOUR)]).toEqual([
      1, 2, 2, 1,
    ]);
  });
});

describe('records of one event', () => {
  test('count once: the one of lowest partition and offset', () => {
    const first = payment(HOUR, 1, 100);
    const second = { ...payment(HOUR, 1, 900), partition: 0 };
    expect(featuresAt([second, first], 2 * HOUR, null)).toMatchObject({ payments_1d: 1, total_1d: 100 });
  });
});

describe('nulls and numbers', () => {
  test('nulls are ignored as input, and a comparison with null does not count', () => {
    expect(featuresAt([payment(HOUR, 1, null), payment(HOUR, 2, 700)], 2 * HOUR, null)).toMatchObject({
      payments_1d: 2,
      total_1d: 700,
      average_1d: 7,
      large_1d: 1,
    });
  });

  test('sums of decimals are exact: 0.10 and 0.20 are 0.30', () => {
    expect(featuresAt([payment(HOUR, 1, 10), payment(HOUR, 2, 20)], 2 * HOUR, null)).toMatchObject({
      total_1d: 30,
      average_1d: 0.15,
    });
  });

  test('sums of decimals stay exact beyond 2^53 until they are read', () => {
    const big = Number.MAX_SAFE_INTEGER;
    const events = [
      payment(HOUR, 1, big),
      payment(HOUR, 2, big),
      payment(HOUR, 3, -big),
      payment(HOUR, 4, -big),
      payment(HOUR, 5, 1),
    ];
    expect(featuresAt(events, 2 * HOUR, null)).toMatchObject({ total_1d: 1 });
  });

  test('a sum of doubles that is not finite is null', () => {
    expect(featuresAt([payment(HOUR, 1, 1, 1e308), payment(HOUR, 2, 1, 1e308)], 2 * HOUR, null)).toMatchObject({
      ratios_1d: null,
    });
  });
});

describe('the status', () => {
  const events = [payment(HOUR, 1, null)];
  const statusesAt = (time: number, options = {}): Record<string, string> => {
    const compiled = view(options);
    const { statuses } = interpretView(compiled, events, { time, id: null }, true);
    return Object.fromEntries(compiled.features.map(({ name }, at) => [name, statuses[at] as string]));
  };

  test('is PRESENT, NULL or DEFAULTED while an event is in sight', () => {
    expect(statusesAt(2 * HOUR)).toMatchObject({ payments_1d: 'PRESENT', total_1d: 'NULL', average_1d: 'DEFAULTED' });
  });

  test('is EXPIRED beyond the time to live, and MISSING beyond keep, before anything else', () => {
    expect(statusesAt(4 * HOUR, { ttl: '2h' })).toMatchObject({ payments_1d: 'EXPIRED', average_1d: 'EXPIRED' });
    expect(statusesAt(DAY + HOUR, { ttl: '2h' })).toMatchObject({ payments_1d: 'MISSING', average_1d: 'MISSING' });
  });
});
