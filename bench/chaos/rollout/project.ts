import {
  atLeast,
  count,
  defineProject,
  entity,
  errors,
  eventStream,
  featureView,
  mean,
  model,
  notWorse,
  requestFeatures,
  rules,
  t,
  xgboost,
  type Model,
  type Project,
} from 'tidemill';

/** The smallest project that goes through every step of a rollout: orders, refunds an hour later, one model. */

const account = entity('account', t.int());

const orders = eventStream('orders', {
  schema: { id: t.int(), at: t.timestamp(), account: t.int(), amount: t.decimal(2) },
  eventId: 'id',
  eventTime: 'at',
  key: 'account',
  allowedLateness: '10m',
});

const refunds = eventStream('refunds', {
  schema: { id: t.int(), at: t.timestamp(), account: t.int(), refunded: t.bool() },
  eventId: 'id',
  eventTime: 'at',
  key: 'account',
  allowedLateness: '10m',
  labels: orders,
});

const size = requestFeatures(orders, ({ amount }) => ({ amount }), { name: 'size' });

const spending = featureView('spending', {
  entity: account,
  from: orders,
  key: 'account',
  include: 'request',
  features: ({ amount }) => ({ orders: count().over('1h', '1d'), average: mean(amount).over('1d') }),
});

/** What a case may want otherwise; the inputs are always the same, so that only the lifecycle worker need know. */
interface Changes {
  readonly approval?: 'automatic' | 'human';
  /** Rounds and depth of the trees, for a training that takes a while. */
  readonly trees?: { readonly rounds: number; readonly maxDepth: number };
}

const refundWith = ({ approval = 'automatic', trees = { rounds: 20, maxDepth: 3 } }: Changes): Model =>
  model('refund', {
    task: 'binary',
    on: orders,
    label: refunds.field('refunded'),
    labelDelay: '1h',
    entity: 'account',
    inputs: [size, spending],
    train: xgboost({ ...trees, learningRate: 0.3, treeMethod: 'hist', baseScore: 0.5 }),
    split: { train: '12h', test: '6h' },
    gates: {
      absolute: [atLeast('auc', 0.7)],
      // The data never change: what is tested is the rollout, not the judgement.
      refresh: [notWorse('average_precision', { margin: 0.3 })],
      drift: [notWorse('average_precision', { margin: 0.3 })],
      operational: [errors(0.2)],
    },
    shadow: { requests: 600, atMost: '2d' },
    canary: { shares: [0.2, 0.5], requests: 300, atMost: '2d' },
    bake: '30m',
    probation: { positives: 60, atMost: '4d' },
    drift: { season: '1d', quiet: '1h', budget: '100 per 1d', freshPositives: 50 },
    approval,
    decide: ({ score }) => rules().review(score.gt(0.5)).otherwise('allow'),
    fallback: ({ amount }) => rules().score(amount.gt(200).if(0.8, 0.1)),
  });

export const refund = refundWith({});

export const projectWith = (changes: Changes): Project => defineProject('chaos', { models: [refundWith(changes)] });

export const project = projectWith({});
