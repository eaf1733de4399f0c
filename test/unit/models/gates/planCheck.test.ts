import { describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { DAY_MS } from '../../../../contracts/duration.js';
import { fraud } from '../../../../examples/fraud/project.js';
import type { CompiledModel, RolloutSpec } from '../../../../models/definition.js';
import { BOUNDLESS, checkPlan, planPhases, planProblems } from '../../../../models/gates/planCheck.js';
import { errors, latency, skew } from '../../../../models/operationalGates.js';

/** The handbook's traffic, about: 9,600 requests a day, of which one in 150 is fraud; labels come after a week. */
const TRAFFIC = { requestsPerDay: 9_600, positiveShare: 1 / 150 };

const NO_PHASES: RolloutSpec = { shadow: null, canary: null, bakeMs: null, probation: null };

function planned(rollout: Partial<RolloutSpec>, operational = [errors(0.001)]): CompiledModel {
  const { compiled } = fraud;
  return { ...compiled, gates: { ...compiled.gates, operational }, rollout: { ...NO_PHASES, ...rollout } };
}

const shadow = (requests: number, days: number): Partial<RolloutSpec> => ({
  shadow: { requests, atMostMs: days * DAY_MS },
});
const canary = (shares: readonly number[], requests: number, days: number): Partial<RolloutSpec> => ({
  canary: { shares, requests, atMostMs: days * DAY_MS },
});
const probation = (positives: number, days: number): Partial<RolloutSpec> => ({
  probation: { positives, atMostMs: days * DAY_MS },
});

describe('a plan', () => {
  test('that gives every phase its time is kept', () => {
    const plan = { ...shadow(20_000, 4), ...canary([0.1, 0.5], 2_000, 4), ...probation(300, 14), bakeMs: DAY_MS / 4 };
    const model = planned(plan, [latency({ share: 0.99, under: '5ms' }), skew(0.01), errors(0.001)]);
    expect(planProblems(model, TRAFFIC)).toEqual([]);
    checkPlan(model, TRAFFIC);
    checkPlan(planned({}), { requestsPerDay: 0, positiveShare: 0 });
  });

  test('gives a shadow the time of its requests', () => {
    expect(planProblems(planned(shadow(20_000, 2.1)), TRAFFIC)).toEqual([]);
    expect(planProblems(planned(shadow(20_000, 2)), TRAFFIC)).toEqual([
      'shadow: its evidence of 20000 requests at 9600 requests a day takes 2.1d; atMost is 2d',
    ]);
  });

  test('gives a canary the time of its requests at each share of the entities', () => {
    const [problem, ...others] = planProblems(planned(canary([0.1, 0.5], 2_000, 2)), TRAFFIC);
    expect(problem).toContain('canary at 0.1: its evidence of 2000 requests');
    expect(others).toEqual([]);
  });

  test('gives a phase the time of the requests without which a guard cannot pass', () => {
    const [problem] = planProblems(planned(shadow(2_000, 0.5)), TRAFFIC);
    expect(problem).toMatch(/^shadow: errors cannot pass on fewer than \d+ requests/);
    expect(planProblems(planned(shadow(2_000, 0.5), [errors(0.01)]), TRAFFIC)).toEqual([]);
    // An audit recomputes vectors of these requests, and no others.
    const [skewed] = planProblems(planned(shadow(2_000, 0.5), [errors(0.01), skew(0.000_01)]), TRAFFIC);
    expect(skewed).toMatch(/^shadow: skew cannot pass on fewer than \d+ requests/);
  });

  test('gives a probation the delay of its labels and the time of its positives', () => {
    expect(planProblems(planned(probation(300, 12)), TRAFFIC)).toEqual([]);
    expect(planProblems(planned(probation(300, 11)), TRAFFIC)).toEqual([
      expect.stringContaining('a label delay of 7d and 300 positives') as string,
    ]);
    expect(planProblems(planned(probation(1, 6)), TRAFFIC)).toHaveLength(1);
    expect(planProblems(planned(probation(1, 365)), { ...TRAFFIC, positiveShare: 0 })[0]).toContain('takes for ever');
  });

  test('says what each phase takes, in order', () => {
    const plan = { ...shadow(19_200, 4), ...canary([0.1, 0.5], 2_000, 4), ...probation(64, 14), bakeMs: DAY_MS / 4 };
    const phases = planPhases(planned(plan, [errors(0.1)]), TRAFFIC);
    expect(phases.map(({ phase, needMs }) => [phase, Number((needMs / DAY_MS).toFixed(3))])).toEqual([
      ['shadow', 2],
      ['canary at 0.1', 2.083],
      ['canary at 0.5', 0.417],
      ['bake', 0.25],
      ['probation', 8],
    ]);
  });

  test('is held against its delays alone where no traffic is known', () => {
    expect(planProblems(planned({ ...shadow(20_000, 1), ...probation(300, 7) }), BOUNDLESS)).toEqual([]);
    expect(planProblems(planned(probation(300, 6)), BOUNDLESS)).toEqual([
      'probation: a label delay of 7d and 300 positives takes 7.0d; atMost is 6d',
    ]);
  });

  test('that cannot be kept is refused with all that is wrong with it', () => {
    const model = planned({ ...shadow(20_000, 2), ...probation(300, 6) });
    let thrown: unknown = null;
    try {
      checkPlan(model, TRAFFIC);
    } catch (error) {
      thrown = error;
    }
    expect(isTidemillError(thrown, 'PLAN_UNREACHABLE')).toBe(true);
    if (!isTidemillError(thrown)) return;
    expect(thrown.message).toMatch(/^fraud: shadow: .*; probation: /);
    expect(thrown.details['problems']).toEqual(planProblems(model, TRAFFIC));
  });
});
