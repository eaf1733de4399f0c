import { expect, test } from 'vitest';
import { featureService } from '../../../features/authoring/featureService.js';
import { toleranceOf } from '../../../features/tolerance.js';
import type { LoggedEvent, StreamEvent } from '../../../features/types.js';
import { count, entity, eventStream, featureView, mean, sum, t } from '../../../index.js';

const card = entity('card', t.int());
const payments = eventStream('payments', {
  schema: { id: t.int(), at: t.timestamp(), card: t.int(), cents: t.int(), ratio: t.double() },
  eventId: 'id',
  eventTime: 'at',
  key: 'card',
});
const spending = featureView('spending', {
  entity: card,
  from: payments,
  key: 'card',
  features: ({ cents, ratio }) => ({
    total: sum(cents).over('1d'),
    average: mean(cents).over('1d'),
    payments: count().over('1d'),
    ratios: sum(ratio).over('1d'),
    twice: sum(ratio).over('1d').mul(2),
  }),
});
const { compiled: service } = featureService('inputs', { on: payments, inputs: [spending] });

const payment = (id: number, ratio: number): LoggedEvent => {
  return { time: id, id, values: [id, id, 1, 100, ratio], partition: 0, offset: id };
};
const request: StreamEvent = payment(10, 0);
const events = [payment(1, 1e6), payment(2, -1e6), payment(3, 0.1)];
const tolerance = (name: string, value: number): number =>
  toleranceOf(
    service,
    service.columns.findIndex((column) => column.name.startsWith(name)),
    value,
    request,
    () => events,
  );

test('counts and exact sums are equal or wrong', () => {
  expect([tolerance('total', 300), tolerance('payments', 3)]).toEqual([0, 0]);
});

test('exact sums beyond 2^53, and means, may be 2 ulp apart', () => {
  expect(tolerance('total', 2 ** 60)).toBeCloseTo(2 ** 60 * 4.5e-16, 0);
  expect(tolerance('average', 1)).toBe(4.5e-16);
});

test('sums of doubles may differ by the size of what was added, however small they are', () => {
  expect(tolerance('ratios', 0.1)).toBeCloseTo(2e-6, 9);
  expect(tolerance('twice', 10)).toBeCloseTo(1e-8, 12);
});
