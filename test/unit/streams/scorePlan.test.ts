import { describe, expect, test } from 'vitest';
import {
  customer,
  customerSpending,
  fraud,
  labels,
  moment,
  terminal,
  terminalRisk,
  transactions,
} from '../../../examples/fraud/project.js';
import { count, featureView, sum } from '../../../index.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { featureService, type ServiceInput } from '../../../features/authoring/featureService.js';
import type { CompiledService } from '../../../features/compiledView.js';
import { viewIdentity } from '../../../features/vectorLayout.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { planScore, type ScorePlan } from '../../../streams/topologies/score/scorePlan.js';

const serviceOf = (...inputs: readonly ServiceInput[]): CompiledService =>
  featureService('inputs', { on: transactions, inputs }).compiled;
const modelOf = (...inputs: readonly ServiceInput[]) => ({ ...fraud.compiled, service: serviceOf(...inputs) });
const stagesOf = ({ stages }: ScorePlan): [string, string[]][] =>
  stages.map(({ name, views }) => [name, views.map(({ view }) => view.name)]);

describe('the plan of a model', () => {
  test('computes the views of every version in use, each once', () => {
    const plan = planScore(modelOf(moment), {
      services: [serviceOf(customerSpending), serviceOf(customerSpending, terminalRisk), serviceOf(moment)],
    });
    expect(plan.services).toHaveLength(3);
    expect(stagesOf(plan)).toEqual([
      ['customer', ['customer_spending']],
      ['terminal', ['terminal_risk']],
    ]);
    const starts = plan.stages.flatMap(({ views }) => views.map(({ start }) => start));
    const [first, second] = [moment, customerSpending].map(({ compiled }) => compiled.features.length) as [
      number,
      number,
    ];
    expect(starts).toEqual([first, first + second]);
  });

  test('keeps the order of its stages whatever the order of the inputs', () => {
    const one = planScore(modelOf(terminalRisk, customerSpending));
    const other = planScore(modelOf(customerSpending, terminalRisk));
    expect(one.stages.map(({ name }) => name)).toEqual(other.stages.map(({ name }) => name));
  });

  test('reads each topic in one stage, whatever the inputs: a view is looked up by the field that its key is named like', () => {
    const alike = featureView('alike', {
      entity: terminal,
      from: labels,
      key: 'terminal',
      features: () => ({ labels_1d: count().over('1d') }),
    });
    const model = modelOf(customerSpending, terminalRisk, alike);
    const topology = scoreTopology({
      project: 'p',
      model,
      generation: 1,
      partitions: 2,
      scorer: createFallbackScorer(fraud.compiled),
    });
    const read = topology.stages.flatMap(({ reads }) => reads);
    expect(read).toHaveLength(3);
    expect(new Set(read).size).toBe(read.length);
    // By another field the labels would have to come to two stages.
    const customerField = transactions.compiled.topicKey;
    const inputs = model.service.inputs.map((input) =>
      input.view.name === 'alike' ? { ...input, requestKey: customerField } : input,
    );
    expect(() => planScore({ ...model, service: { ...model.service, inputs } })).toThrow(
      /view alike is keyed by terminal, and looked up by customer/,
    );
  });

  test('keeps a hop that nothing needs any more while rows may be on it', () => {
    const field = transactions.compiled.fields.findIndex(({ name }) => name === 'terminal');
    expect(stagesOf(planScore(modelOf(customerSpending), { passing: [field] }))).toEqual([
      ['customer', ['customer_spending']],
      ['terminal', []],
    ]);
  });

  test('leaves out a service that reads a stream by another contract, and one whose view is not to be had', () => {
    const risk = serviceOf(terminalRisk);
    const [input] = risk.inputs;
    const stream = { ...(input as (typeof risk.inputs)[number]).view.stream, hash: 'another' };
    const foreign = { ...risk, hash: 'foreign', inputs: [{ ...input, view: { ...input?.view, stream } }] };
    const plan = planScore(modelOf(moment, customerSpending), {
      services: [risk, foreign as unknown as CompiledService],
      unavailable: new Map([[viewIdentity(customerSpending.compiled), 'offsets 0 to 9 are lost']]),
    });
    expect(plan.services).toEqual([risk]);
    expect(plan.leftOut.map(({ service, problem }) => [service.hash, problem])).toEqual([
      [serviceOf(moment, customerSpending).hash, 'fraud: view customer_spending: offsets 0 to 9 are lost'],
      ['foreign', expect.stringMatching(/fraud-labels by another contract/)],
    ]);
  });

  test('takes views over the requests by any field, at the stage of that field', () => {
    const byTerminal = featureView('terminal_payments', {
      entity: terminal,
      from: transactions,
      key: 'terminal',
      include: 'request',
      features: () => ({ payments: count().over('1d') }),
    });
    const plan = planScore(modelOf(customerSpending, terminalRisk, byTerminal));
    expect(stagesOf(plan)).toEqual([
      ['customer', ['customer_spending']],
      ['terminal', ['terminal_risk', 'terminal_payments']],
    ]);
    expect(plan.stages.map(({ hasOwn }) => hasOwn)).toEqual([true, true]);
  });

  test('refuses another stream’s view that is keyed otherwise than its topic', () => {
    const byCustomer = featureView('customer_risk', {
      entity: customer,
      from: labels,
      key: 'customer',
      features: ({ fraud: isFraud }) => ({ frauds: sum(isFraud).over('1d') }),
    });
    expect(() => planScore(modelOf(byCustomer))).toThrow(/its stream fraud-labels by terminal/);
  });

  test('is refused where nothing of it can be computed', () => {
    const unavailable = new Map([[viewIdentity(customerSpending.compiled), 'lost']]);
    let code = '';
    try {
      planScore(modelOf(customerSpending), { unavailable });
    } catch (error) {
      code = isTidemillError(error) ? error.code : '';
    }
    expect(code).toBe('TOPOLOGY_UNSUPPORTED');
  });
});
