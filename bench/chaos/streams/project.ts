import {
  atLeast,
  count,
  defineProject,
  entity,
  eventStream,
  featureView,
  mean,
  model,
  notWorse,
  requestFeatures,
  rules,
  sum,
  t,
  xgboost,
} from 'tidemill';

/**
 * What the stream suite runs: orders with windows of their account, a hop to their shop, and there the windows of a second
 * stream. Windows are short, so that a run forgets many times over.
 */

const account = entity('account', t.int());
const shop = entity('shop', t.int());

export const orders = eventStream('orders', {
  schema: { id: t.int(), at: t.timestamp(), account: t.int(), shop: t.int(), amount: t.decimal(2) },
  eventId: 'id',
  eventTime: 'at',
  key: 'account',
  allowedLateness: '2m',
});

export const returns = eventStream('returns', {
  schema: { id: t.int(), at: t.timestamp(), shop: t.int(), returned: t.bool() },
  eventId: 'id',
  eventTime: 'at',
  key: 'shop',
  allowedLateness: '2m',
  labels: orders,
});

const size = requestFeatures(orders, ({ amount }) => ({ amount }), { name: 'size' });

export const spending = featureView('spending', {
  entity: account,
  from: orders,
  key: 'account',
  include: 'request',
  features: ({ amount }) => ({
    orders: count().over('5m', '30m', '2h'),
    spent: sum(amount).over('30m', '2h'),
    average: mean(amount).over('2h'),
  }),
});

export const shopReturns = featureView('shop_returns', {
  entity: shop,
  from: returns,
  key: 'shop',
  features: ({ returned }) => ({
    labelled: count().over('5m', '1h'),
    share: mean(returned).over('1h').orElse(0),
  }),
});

export const returnRisk = model('return_risk', {
  task: 'binary',
  on: orders,
  label: returns.field('returned'),
  labelDelay: '5m',
  entity: 'account',
  inputs: [size, spending, shopReturns],
  train: xgboost({ rounds: 10, maxDepth: 3, learningRate: 0.3, treeMethod: 'hist', baseScore: 0.5 }),
  split: { train: '2h', test: '1h' },
  gates: {
    absolute: [atLeast('auc', 0.6)],
    refresh: [notWorse('average_precision', { margin: 0.3 })],
    drift: [notWorse('average_precision', { margin: 0.3 })],
  },
  drift: { season: '1d', quiet: '1h', budget: '100 per 1d', freshPositives: 50 },
  decide: ({ score }) => rules().review(score.gt(0.5)).otherwise('allow'),
  fallback: ({ amount }) => rules().score(amount.gt(200).if(0.8, 0.1)),
});

export const project = defineProject('chaos-streams', { models: [returnRisk] });
