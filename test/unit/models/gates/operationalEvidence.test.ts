import { describe, expect, test } from 'vitest';
import type { OtherScore } from '../../../../contracts/records.js';
import {
  OperationalEvidence,
  type OperationalOptions,
  type OperationalRow,
} from '../../../../models/gates/operationalEvidence.js';
import { decided } from '../../../../models/gates/operationalVerdicts.js';
import type { SkewFound } from '../../../../models/gates/skewCounts.js';
import type { Verdict, VerdictKind } from '../../../../models/gates/verdict.js';
import { errors, skew } from '../../../../models/operationalGates.js';
import { CHALLENGER, CHAMPION, failed, GATES, optionsOf, other, row } from '../../../support/operationalRows.js';

/** Four requests of each of so many entities; `change` says what is special about one. */
function observed(
  options: OperationalOptions,
  entities: number,
  change: (entity: number, request: number) => Partial<OperationalRow> = () => ({}),
): OperationalEvidence {
  const evidence = new OperationalEvidence(options);
  for (let entity = 0; entity < entities; entity++) {
    for (let request = 0; request < 4; request++) evidence.observe(row(entity, change(entity, request)));
  }
  return evidence;
}

function verdictOf(evidence: OperationalEvidence, gate: string): Verdict {
  const found = evidence.judge(1).find((verdict) => verdict.gate.startsWith(gate));
  if (found === undefined) throw new Error(`no verdict of ${gate}`);
  return found;
}

describe('a guard', () => {
  test('passes where its share is shown to be below the margin, and says on what grounds', () => {
    const verdicts = observed(optionsOf(), 600).judge(3);
    expect(verdicts.map(({ gate, verdict }) => [gate, verdict])).toEqual([
      ['latency(0.99, 5ms)', 'pass'],
      ['errors(0.01)', 'pass'],
      ['agreement(0.05)', 'pass'],
    ]);
    for (const verdict of verdicts) {
      expect(verdict).toMatchObject({ kind: 'operational', value: 0, rows: 2_400, positives: 0, look: 3 });
      expect(verdict.high as number).toBeGreaterThan(0);
      expect(verdict.high as number).toBeLessThan(verdict.bound as number);
    }
  });

  test('is inconclusive while the margin lies between its bounds', () => {
    const verdicts = observed(optionsOf(), 50).judge(1);
    // 200 requests without a single event can show a share below 5 %, but not one below 1 %.
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['inconclusive', 'inconclusive', 'inconclusive']);
    expect(
      observed(optionsOf(), 200)
        .judge(1)
        .map(({ verdict }) => verdict),
    ).toEqual(['inconclusive', 'inconclusive', 'pass']);
  });

  test('of latency fails where too many requests take the limit or longer', () => {
    const slow =
      (micros: number) =>
      (entity: number): Partial<OperationalRow> =>
        entity % 10 === 0 ? { others: [other(CHALLENGER, { micros })] } : {};
    expect(verdictOf(observed(optionsOf(), 600, slow(5_000)), 'latency')).toMatchObject({
      verdict: 'fail',
      value: 0.1,
      positives: 240,
    });
    expect(verdictOf(observed(optionsOf(), 600, slow(4_999)), 'latency')).toMatchObject({ verdict: 'pass', value: 0 });
  });

  test('of latency takes requests that were scored together for one', () => {
    // 100 batches of 40 requests of as many customers, one of them slow: 1 % of all.
    const evidence = new OperationalEvidence(optionsOf());
    for (let request = 0; request < 4_000; request++) {
      const batch = Math.floor(request / 40);
      const micros = (batch === 50 ? 9_000 : 900) + batch;
      evidence.observe(row(request % 997, { others: [other(CHALLENGER, { micros })] }));
    }
    const verdict = verdictOf(evidence, 'latency');
    expect(verdict).toMatchObject({ verdict: 'inconclusive', value: 0.01, rows: 4_000, positives: 40 });
    expect(verdict.high as number).toBeGreaterThan(0.03);
    const two = new OperationalEvidence(optionsOf());
    for (let request = 0; request < 4_000; request++)
      two.observe(row(request % 997, { others: [{ ...other(CHALLENGER), micros: request < 2_000 ? 8 : 9 }] }));
    expect(verdictOf(two, 'latency')).toMatchObject({ verdict: 'inconclusive', low: null });
    expect(verdictOf(two, 'latency').reason).toContain('2 micro-batches');
    // Batches of several partitions come interleaved.
    const interleaved = new OperationalEvidence(optionsOf());
    for (let request = 0; request < 4_000; request++) {
      const source = { topic: 'transactions', partition: request % 2, offset: request };
      interleaved.observe(
        row(request % 997, { source, others: [{ ...other(CHALLENGER), micros: 8 + (request % 2) }] }),
      );
    }
    expect(verdictOf(interleaved, 'latency').reason).toContain('2 micro-batches');
  });

  test('of errors compares with the champion on the same requests', () => {
    const every = (share: number, others: readonly OtherScore[], changes: Partial<OperationalRow> = {}) => {
      return (entity: number): Partial<OperationalRow> => (entity % share === 0 ? { ...changes, others } : {});
    };
    const own = observed(optionsOf(), 600, every(10, [failed(CHALLENGER)]));
    expect(verdictOf(own, 'errors')).toMatchObject({ verdict: 'fail', value: 0.1, positives: 240 });
    // What both fail on, such as a request that no model can take, is not the challenger's fault.
    const both = observed(optionsOf(), 600, every(10, [failed(CHALLENGER)], { version: 0, role: 'fallback' }));
    expect(verdictOf(both, 'errors')).toMatchObject({ verdict: 'pass', value: 0, positives: 240 });
    const champion = observed(optionsOf(), 600, every(10, [other(CHALLENGER)], { version: 0, role: 'fallback' }));
    expect(verdictOf(champion, 'errors')).toMatchObject({ verdict: 'pass', value: -0.1, positives: 0 });
  });

  test('of agreement compares decisions where both have one', () => {
    const differing = observed(optionsOf(), 600, (entity) =>
      entity % 4 === 0 ? { decision: 'block' } : entity % 4 === 1 ? { others: [failed(CHALLENGER)] } : {},
    );
    expect(verdictOf(differing, 'agreement')).toMatchObject({ verdict: 'fail', value: 1 / 3, rows: 1_800 });
  });

  test('of skew rests on what the newest audit has found, entity by entity', () => {
    const evidence = observed(optionsOf({ gates: [skew(0.01)] }), 600);
    const audited = (vectors: number, isSkewed: (at: number) => boolean): SkewFound => ({
      rows: Array.from({ length: vectors }, (_, at) => ({ entity: at % 600, cause: isSkewed(at) ? 'inFlight' : null })),
      defects: [],
    });
    expect(verdictOf(evidence, 'skew')).toMatchObject({
      verdict: 'inconclusive',
      value: null,
      rows: 0,
      reason: 'no served vector has been recomputed',
    });
    evidence.observeSkew(audited(5_000, (at) => at % 1_000 === 0));
    expect(verdictOf(evidence, 'skew')).toMatchObject({ verdict: 'pass', value: 0.001, rows: 5_000, positives: 5 });
    evidence.observeSkew(audited(5_000, (at) => at % 37 === 0));
    const failing = verdictOf(evidence, 'skew');
    expect(failing).toMatchObject({ verdict: 'fail', value: 136 / 5_000 });
    expect(failing.reason).toContain('2.720 % of 5000 requests were served otherwise');
    expect(failing.reason).toContain('(in flight 136)');
    // About the same share, but all of it of a few entities: that says less about the others.
    evidence.observeSkew(audited(5_000, (at) => at % 600 < 16));
    expect(verdictOf(evidence, 'skew')).toMatchObject({ verdict: 'inconclusive' });
  });

  test('of skew fails for a single vector that is not what the features say within its cut', () => {
    const evidence = observed(optionsOf({ gates: [skew(0.01)] }), 600);
    const rows = Array.from({ length: 5_000 }, (_, at) => ({ entity: at % 600, cause: null }));
    evidence.observeSkew({ rows, defects: ['prediction 7, amount: served 1, the interpreter says 2'] });
    const verdict = verdictOf(evidence, 'skew');
    expect(verdict).toMatchObject({ verdict: 'fail', value: 0 });
    expect(verdict.reason).toContain('prediction 7, amount: served 1');
  });

  test('gets a smaller share of alpha the more guards there are', () => {
    const high = (gates: OperationalOptions['gates']): number =>
      verdictOf(observed(optionsOf({ gates }), 600), 'errors').high as number;
    expect(high([errors(0.01)])).toBeLessThan(high(GATES));
    // One that does not apply takes none.
    const first = optionsOf({ champion: null });
    expect(verdictOf(observed(first, 600), 'errors').high).toBe(high([errors(0.01), GATES[0] as (typeof GATES)[0]]));
  });
});

describe('before there are thirty entities', () => {
  test('nothing passes or fails, however many requests they make', () => {
    for (const bad of [false, true]) {
      const evidence = new OperationalEvidence(optionsOf());
      for (let request = 0; request < 5_000; request++) {
        const changes = bad ? { micros: 9_000 + (request % 2), decision: 'block' } : {};
        evidence.observe(row(request % 29, { others: [other(CHALLENGER, changes)] }));
      }
      for (const verdict of evidence.judge(1)) {
        expect(verdict).toMatchObject({ verdict: 'inconclusive', rows: 5_000, low: null, high: null });
        expect(verdict.reason).toContain('29 entities');
      }
    }
  });

  test('but a version that failed on every one of twenty requests fails, where the champion did not', () => {
    const failing = (requests: number, changes: Partial<OperationalRow> = {}): Verdict => {
      const evidence = new OperationalEvidence(optionsOf());
      for (let request = 0; request < requests; request++) {
        evidence.observe(row(request % 3, { others: [failed(CHALLENGER)], ...changes }));
      }
      return verdictOf(evidence, 'errors');
    };
    expect(failing(19)).toMatchObject({ verdict: 'inconclusive' });
    expect(failing(20)).toMatchObject({ verdict: 'fail', value: 1 });
    expect(failing(20, { version: 0, role: 'fallback' })).toMatchObject({ verdict: 'inconclusive', value: 0 });
    const mostly = observed(optionsOf(), 10, (entity) => (entity > 0 ? { others: [failed(CHALLENGER)] } : {}));
    expect(verdictOf(mostly, 'errors')).toMatchObject({ verdict: 'inconclusive', value: 0.9 });
  });

  test('a request without an entity is one of its own', () => {
    const options = optionsOf({ gates: [errors(0.5)] });
    const anonymous = (requests: number): Verdict => {
      const evidence = new OperationalEvidence(options);
      for (let request = 0; request < requests; request++) evidence.observe({ ...row(0), entity: null });
      return verdictOf(evidence, 'errors');
    };
    expect(anonymous(29)).toMatchObject({ verdict: 'inconclusive', low: null });
    expect(anonymous(60)).toMatchObject({ verdict: 'pass', rows: 60 });
  });

  test('no request at all is inconclusive', () => {
    for (const verdict of new OperationalEvidence(optionsOf()).judge(1)) {
      expect(verdict).toMatchObject({ verdict: 'inconclusive', value: null, rows: 0 });
    }
  });
});

describe('who was asked, who failed', () => {
  const errorsOf = (options: OperationalOptions, rows: readonly OperationalRow[]) => {
    const evidence = new OperationalEvidence(options);
    for (const each of rows) evidence.observe(each);
    const { value, rows: asked, positives } = verdictOf(evidence, 'errors');
    return { requests: evidence.requests, asked, failed: positives, difference: value };
  };
  const canary = optionsOf({ mode: 'canary' });
  const inArm = { arm: 'challenger' } as const;

  test('in a canary each version is judged on both arms, and requests are those of the challenger', () => {
    const served = row(1, { ...inArm, version: CHALLENGER, role: 'challenger', others: [other(CHAMPION)] });
    expect(errorsOf(canary, [served, row(2)])).toEqual({ requests: 1, asked: 2, failed: 0, difference: 0 });
    expect(errorsOf(canary, [row(2, { others: [failed(CHALLENGER)] })])).toMatchObject({ requests: 0, failed: 1 });
  });

  test('in its arm a challenger that is stood in for has failed, whether the row says so or not', () => {
    for (const others of [[], [failed(CHALLENGER)]]) {
      const stoodIn = row(1, { ...inArm, others });
      expect(errorsOf(canary, [stoodIn])).toEqual({ requests: 1, asked: 1, failed: 1, difference: 1 });
      const nobody = row(1, { ...inArm, version: 0, role: 'fallback', others });
      expect(errorsOf(canary, [nobody])).toEqual({ requests: 1, asked: 1, failed: 1, difference: 0 });
    }
  });

  test('in the other arm, and in shadow, a challenger of which nothing is said was not asked', () => {
    const silent = row(1, { others: [] });
    for (const options of [canary, optionsOf()]) {
      expect(errorsOf(options, [silent])).toEqual({ requests: 0, asked: 0, failed: 0, difference: null });
    }
  });

  test('a champion that an earlier version stood in for has failed', () => {
    expect(errorsOf(optionsOf(), [row(1, { version: 7 })])).toMatchObject({ asked: 1, failed: 0, difference: -1 });
  });

  test('in a bake the promoted version is the challenger, and a predecessor that scores no more did not fail', () => {
    const bake = optionsOf({ mode: 'bake' });
    const served = row(1, { version: CHALLENGER, others: [] });
    const fallback = row(2, { version: 0, role: 'fallback', others: [] });
    expect(errorsOf(bake, [served, fallback])).toEqual({ requests: 2, asked: 2, failed: 1, difference: 0.5 });
    const paired = { ...fallback, others: [failed(CHAMPION)] };
    expect(errorsOf(bake, [served, paired])).toMatchObject({ failed: 1, difference: 0 });
    const stoodIn = row(2, { role: 'fallback', others: [failed(CHALLENGER)] });
    expect(errorsOf(bake, [served, stoodIn])).toMatchObject({ failed: 1, difference: 0.5 });
    const evidence = observed(bake, 600, () => ({ version: CHALLENGER, others: [] }));
    expect(evidence.judge(1).map(({ verdict }) => verdict)).toEqual(['pass', 'pass', 'notApplicable']);
  });

  test('a first version is compared with nobody: agreement does not apply, errors are its own', () => {
    const first = optionsOf({ champion: null });
    const evidence = observed(first, 600, () => ({ version: 0, role: 'fallback', decision: 'review' }));
    expect(evidence.judge(1).map(({ verdict }) => verdict)).toEqual(['pass', 'pass', 'notApplicable']);
    expect(new OperationalEvidence(first).judge(1).at(-1)).toMatchObject({ verdict: 'notApplicable' });
  });
});

describe('a phase', () => {
  const verdict = (kind: VerdictKind): Verdict => ({
    ...{ gate: 'g', kind: 'operational', verdict: kind, value: 0, low: null, high: null, bound: 0 },
    ...{ rows: 1, positives: 0, look: 1, reason: '' },
  });
  const decide = (requests: number, ...kinds: VerdictKind[]): string => decided(kinds.map(verdict), requests >= 100);

  test('fails at once, passes when its requests are there and all is shown, goes on otherwise', () => {
    expect(decide(5, 'pass', 'fail', 'inconclusive')).toBe('fail');
    expect(decide(99, 'pass', 'pass')).toBe('continue');
    expect(decide(100, 'pass', 'pass')).toBe('pass');
    expect(decide(100, 'pass', 'notApplicable')).toBe('pass');
    expect(decide(1_000, 'pass', 'inconclusive')).toBe('continue');
  });
  test('never passes on nothing', () => {
    expect(decide(100)).toBe('continue');
    expect(decide(100, 'notApplicable')).toBe('continue');
  });
});
