import { describe, expect, test } from 'vitest';
import {
  count,
  entity,
  eventStream,
  featureService,
  featureView,
  mean,
  requestFeatures,
  sum,
  t,
} from '../../../index.js';
import { isTidemillError, type TidemillError } from '../../../contracts/errors.js';

const card = entity('card', t.int());
const options = { eventId: 'id', eventTime: 'at', key: 'card' } as const;
const schema = { id: t.int(), at: t.timestamp(), card: t.int(), amount: t.decimal(2), shop: t.string() };
const payments = eventStream('payments', { schema, ...options });

function refused(act: () => unknown): TidemillError {
  try {
    act();
  } catch (error) {
    if (isTidemillError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a definition', () => {
  test('names its features after their windows', () => {
    const view = featureView('v', {
      entity: card,
      from: payments,
      key: 'card',
      features: ({ amount }) => ({ payments: count().over('1d', '36h'), average: mean(amount).over('7d') }),
    });
    expect(view.compiled.features.map(({ name }) => name)).toEqual(['payments_1d', 'payments_36h', 'average_7d']);
  });

  test('has a hash that changes with its meaning and with nothing else', () => {
    const make = (window: string, lateness: string) =>
      featureView('v', {
        entity: card,
        from: eventStream('payments', { schema, ...options, allowedLateness: lateness }),
        key: 'card',
        features: ({ amount }) => ({ total: sum(amount).over(window as '1d') }),
      }).compiled.hash;
    expect(make('24h', '1m')).toBe(make('1d', '60s'));
    expect(make('1d', '1m')).not.toBe(make('2d', '1m'));
  });

  test('cannot be changed once it is made', () => {
    expect(() => {
      (payments.compiled.fields as unknown as unknown[]).push({});
    }).toThrow(TypeError);
  });

  test('with the same name twice in a service gets the view before the feature', () => {
    const make = (name: string) =>
      featureView(name, { entity: card, from: payments, key: 'card', features: () => ({ n: count().over('1d') }) });
    const service = featureService('s', { on: payments, inputs: [make('a'), make('b')] });
    expect(service.compiled.columns.map(({ name }) => name)).toEqual(['a.n_1d', 'b.n_1d']);
  });
});

describe('a definition that is wrong is refused by its path', () => {
  test.each<[string, () => unknown, string, RegExp]>([
    ['name', () => eventStream('Payments', { schema, ...options }), 'NAME_INVALID', /Payments/],
    [
      'event time of another type',
      () => eventStream('p', { schema, ...options, eventTime: 'card' as 'at' }),
      'DEFINITION_INVALID',
      /p\.eventTime: card is int; it must be timestamp/,
    ],
    [
      'nullable key',
      () => eventStream('p', { schema: { ...schema, card: t.int().nullable() }, ...options }),
      'DEFINITION_INVALID',
      /p\.key: card is nullable/,
    ],
    [
      'entity of another type',
      () =>
        featureView('v', { entity: card, from: payments, key: 'shop', features: () => ({ n: count().over('1d') }) }),
      'DEFINITION_INVALID',
      /shop is string, but entity card is int/,
    ],
    ['window without end', () => count().over('0d'), 'DEFINITION_INVALID', /empty/],
    ['window that is no duration', () => count().over('tomorrow'), 'DEFINITION_INVALID', /tomorrow/],
    [
      'aggregate without window',
      () => featureView('v', { entity: card, from: payments, key: 'card', features: () => ({ n: count() as never }) }),
      'DEFINITION_INVALID',
      /v\.features\.n: an aggregate needs its windows/,
    ],
    ['sum of text', () => sum(payments.fields.shop as never), 'DEFINITION_INVALID', /string cannot be added up/],
    [
      'default that does not fit',
      () => sum(payments.fields.amount).over('1d').orElse(0.001),
      'DEFINITION_INVALID',
      /0\.001/,
    ],
    ['unknown zone', () => payments.fields.at.hour('Mars/Base'), 'DEFINITION_INVALID', /Mars\/Base/],
    ['comparison of text and number', () => payments.fields.shop.eq(5 as never), 'DEFINITION_INVALID', /./],
    [
      'text in the vector',
      () => featureService('s', { on: payments, inputs: [requestFeatures(payments, ({ shop }) => ({ shop }))] }),
      'DEFINITION_INVALID',
      /string cannot be a column/,
    ],
  ])('%s', (_, act, code, message) => {
    const error = refused(act);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});
