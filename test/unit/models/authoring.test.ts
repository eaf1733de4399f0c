import { describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { DAY_MS, HOUR_MS } from '../../../contracts/duration.js';
import { eventStream } from '../../../features/authoring/eventStream.js';
import { t } from '../../../features/authoring/valueTypes.js';
import { labels, moment, transactions } from '../../../examples/fraud/project.js';
import { atLeast, logistic, model, notWorse, rules, superior, type ModelOptions } from '../../../models/authoring.js';

type Phases = Pick<ModelOptions<never>, 'shadow' | 'canary' | 'bake' | 'probation'>;

const planned = (phases: Phases, label: ModelOptions<never>['label'] = labels.field('fraud')) =>
  model('planned', {
    task: 'binary',
    on: transactions,
    label,
    labelDelay: '7d',
    entity: 'customer',
    inputs: [moment],
    train: logistic(),
    split: { train: '7d', test: '7d' },
    gates: {
      absolute: [atLeast('auc', 0.8)],
      refresh: [notWorse('auc', { margin: 0.02 })],
      drift: [superior('auc')],
    },
    drift: { season: '7d', quiet: '1d', budget: '3 per 7d', freshPositives: 100 },
    decide: ({ score }) => rules().block(score.gt(0.9)).otherwise('allow'),
    fallback: ({ amount }) => rules().score(amount.gt(220).if(0.9, 0.01)),
    ...phases,
  }).compiled.rollout;

test('a label that may be null is refused: nobody could tell it from a negative', () => {
  const unsure = eventStream('unsure', {
    schema: { id: t.int(), at: t.timestamp(), customer: t.int(), fraud: t.bool().nullable() },
    eventId: 'id',
    eventTime: 'at',
    key: 'customer',
    allowedLateness: '1h',
    labels: transactions,
  });
  expect(() => planned({}, unsure.field('fraud'))).toThrow('planned.label: fraud is nullable; it must be required');
});

describe('the phases of a rollout', () => {
  test('are compiled to stream time in milliseconds; what is not declared is not there', () => {
    expect(planned({})).toEqual({ shadow: null, canary: null, bakeMs: null, probation: null });
    expect(
      planned({
        shadow: { requests: 20_000, atMost: '4d' },
        canary: { shares: [0.1, 0.5], requests: 2_000, atMost: '4d' },
        bake: '6h',
        probation: { positives: 300, atMost: '14d' },
      }),
    ).toEqual({
      shadow: { requests: 20_000, atMostMs: 4 * DAY_MS },
      canary: { shares: [0.1, 0.5], requests: 2_000, atMostMs: 4 * DAY_MS },
      bakeMs: 6 * HOUR_MS,
      probation: { positives: 300, atMostMs: 14 * DAY_MS },
    });
  });

  const canary = (shares: readonly number[]): Phases => ({ canary: { shares, requests: 1, atMost: '1d' } });
  test.for([
    ['planned.shadow.requests', { shadow: { requests: 0, atMost: '1d' } }],
    ['planned.canary.requests', { canary: { shares: [0.1], requests: 0.5, atMost: '1d' } }],
    ['planned.canary.shares', canary([])],
    ['planned.canary.shares', canary([0, 0.5])],
    ['planned.canary.shares', canary([0.5, 0.1])],
    ['planned.canary.shares', canary([0.5, 1.1])],
    ['planned.canary.shares', canary([Number.NaN])],
    ['planned.probation.positives', { probation: { positives: -1, atMost: '1d' } }],
  ] as const)('are refused at %s', ([path, phases]) => {
    let thrown: unknown = null;
    try {
      planned(phases);
    } catch (error) {
      thrown = error;
    }
    expect(isTidemillError(thrown, 'DEFINITION_INVALID')).toBe(true);
    if (isTidemillError(thrown)) expect(thrown.details['path']).toBe(path);
  });
});
