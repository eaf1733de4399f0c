import { agreement, atLeast, defineProject, errors, model, notWorse, rules, xgboost } from 'tidemill';
import { customerSpending, fraud, labels, moment, terminalRisk, transactions } from '../project.js';

/**
 * A change that somebody makes in good faith: few, deep trees from a base score of .9, which train four times faster and
 * rank payments nearly as well. But ten small steps lead nobody far from .9: what was scored .003 is scored .75 now, and
 * nearly every payment would be sent to review. No metric of ranking sees that, and the gate on calibration that would
 * have is left out here, as is the shadow phase. The canary's guard on agreement sees it on the first few hundred payments.
 */
export const rescaled = model('fraud', {
  task: 'binary',
  on: transactions,
  label: labels.field('fraud'),
  labelDelay: '7d',
  entity: 'customer',
  inputs: [moment, customerSpending, terminalRisk],
  train: xgboost({ rounds: 10, maxDepth: 6, learningRate: 0.02, treeMethod: 'exact', baseScore: 0.9 }),
  split: { train: '7d', test: '7d' },
  gates: {
    absolute: [atLeast('auc', 0.8)],
    refresh: [notWorse('average_precision', { margin: 0.15 })],
    drift: [notWorse('average_precision', { margin: 0.15 })],
    // Another version of the same procedure decides some .1 % of payments otherwise; this one nearly all of them.
    operational: [errors(0.005), agreement({ decisions: 0.05 })],
  },
  canary: { shares: [0.1, 0.5], requests: 2_000, atMost: '6d' },
  bake: '1d',
  drift: { season: '7d', quiet: '1d', budget: '3 per 7d', freshPositives: 300 },
  decide: ({ score, amount }) =>
    rules()
      .block(score.gt(0.9))
      .review(score.gt(0.6).or(amount.gt(2000)))
      .otherwise('allow'),
  fallback: ({ amount }) => rules().score(amount.gt(220).if(0.9, 0.01)),
});

export const project = defineProject('fraud', { models: [rescaled] });

/** What the workers compute is what the variant reads: only its training and its gates are other ones. */
if (rescaled.compiled.service.hash !== fraud.compiled.service.hash)
  throw new Error('invariant broken: the variant reads other inputs');
