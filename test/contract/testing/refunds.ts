import {
  atLeast,
  defineProject,
  errors,
  eventStream,
  logistic,
  model,
  notWorse,
  requestFeatures,
  rules,
  t,
} from '../../../index.js';

/** Orders of shops, of which some are refunded; where they begin in these tests. */
export const START = Date.parse('2026-01-02T00:00:00Z');

export const orders = eventStream('orders', {
  schema: { id: t.int(), at: t.timestamp(), shop: t.int(), amount: t.decimal(2) },
  eventId: 'id',
  eventTime: 'at',
  key: 'shop',
  allowedLateness: '10m',
});
export const refunds = eventStream('refunds', {
  schema: { id: t.int(), at: t.timestamp(), shop: t.int(), refunded: t.bool() },
  eventId: 'id',
  eventTime: 'at',
  key: 'shop',
  allowedLateness: '10m',
  labels: orders,
});
export const refund = model('refund', {
  task: 'binary',
  on: orders,
  label: refunds.field('refunded'),
  labelDelay: '1h',
  labels: { horizon: '3h', absence: 'negative', retention: '8h', censored: ['block'] },
  entity: 'shop',
  inputs: [requestFeatures(orders, ({ amount }) => ({ amount }), { name: 'size' })],
  train: logistic(),
  split: { train: '12h', test: '6h' },
  gates: {
    absolute: [atLeast('auc', 0.6)],
    refresh: [notWorse('average_precision', { margin: 0.5 })],
    drift: [notWorse('average_precision', { margin: 0.5 })],
    operational: [errors(0.3)],
  },
  drift: { season: '1d', quiet: '1h', budget: '3 per 1d', freshPositives: 50 },
  decide: ({ score }) => rules().block(score.gt(0.95)).review(score.gt(0.5)).otherwise('allow'),
  fallback: ({ amount }) => rules().score(amount.gt(450).if(0.8, 0.1)),
});
export const project = defineProject('shop', { models: [refund] });
