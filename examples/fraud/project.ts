import {
  atLeast,
  calibrated,
  count,
  defineProject,
  entity,
  errors,
  eventStream,
  featureView,
  latency,
  mean,
  model,
  notWorse,
  requestFeatures,
  rules,
  superior,
  t,
  xgboost,
} from 'tidemill';

/** The fraud project: card transactions, labels that are known a week later, and one model on 15 inputs. */

export const customer = entity('customer', t.int());
export const terminal = entity('terminal', t.int());

export const transactions = eventStream('transactions', {
  schema: { id: t.int(), at: t.timestamp(), customer: t.int(), terminal: t.int(), amount: t.decimal(2) },
  eventId: 'id',
  eventTime: 'at',
  key: 'customer',
  allowedLateness: '10m',
  personal: ['customer'],
});

/** One label per transaction; its time is when it became known. */
export const labels = eventStream('fraud-labels', {
  schema: { id: t.int(), at: t.timestamp(), customer: t.int(), terminal: t.int(), fraud: t.bool() },
  eventId: 'id',
  eventTime: 'at',
  key: 'terminal',
  allowedLateness: '1h',
  personal: ['customer'],
  labels: transactions,
});

export const moment = requestFeatures(
  transactions,
  ({ at, amount }) => ({
    amount,
    weekend: at.dayOfWeek('UTC').ge(6),
    night: at.hour('UTC').le(6),
  }),
  { name: 'moment' },
);

export const customerSpending = featureView('customer_spending', {
  entity: customer,
  from: transactions,
  key: 'customer',
  include: 'request',
  features: ({ amount }) => ({
    transactions: count().over('1d', '7d', '30d'),
    average_amount: mean(amount).over('1d', '7d', '30d'),
  }),
});

export const terminalRisk = featureView('terminal_risk', {
  entity: terminal,
  from: labels,
  key: 'terminal',
  features: ({ fraud }) => ({
    labelled: count().over('1d', '7d', '30d'),
    risk: mean(fraud).over('1d', '7d', '30d').orElse(0),
  }),
});

export const fraud = model('fraud', {
  task: 'binary',
  on: transactions,
  label: labels.field('fraud'),
  labelDelay: '7d',
  entity: 'customer',
  inputs: [moment, customerSpending, terminalRisk],
  train: xgboost({ rounds: 100, maxDepth: 3, learningRate: 0.1, treeMethod: 'exact', baseScore: 0.5 }),
  split: { train: '7d', test: '7d' },
  gates: {
    absolute: [atLeast('auc', 0.8), calibrated(0.05)],
    refresh: [notWorse('average_precision', { margin: 0.02 })],
    drift: [superior('average_precision')],
    operational: [errors(0.005), latency({ share: 0.95, under: '500ms' })],
  },
  shadow: { requests: 20_000, atMost: '6d' },
  canary: { shares: [0.1, 0.5], requests: 2_000, atMost: '6d' },
  bake: '1d',
  probation: { positives: 300, atMost: '21d' },
  drift: { season: '7d', quiet: '1d', budget: '3 per 7d', freshPositives: 300 },
  decide: ({ score, amount }) =>
    rules()
      .block(score.gt(0.9))
      .review(score.gt(0.6).or(amount.gt(2000)))
      .otherwise('allow'),
  fallback: ({ amount }) => rules().score(amount.gt(220).if(0.9, 0.01)),
});

export const project = defineProject('fraud', { models: [fraud] });
