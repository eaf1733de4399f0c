import { describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { OperationalEvidence } from '../../../../models/gates/operationalEvidence.js';
import type { SkewFound } from '../../../../models/gates/skewCounts.js';
import { skew } from '../../../../models/operationalGates.js';
import { seededRandom } from '../../../../models/statistics/random.js';
import { CHALLENGER, failed, GATES, optionsOf, other, row } from '../../../support/operationalRows.js';

describe('operational evidence', () => {
  const options = optionsOf({ mode: 'canary', gates: [...GATES, skew(0.01)] });
  const rows = Array.from({ length: 3_000 }, (_, at) => {
    const random = seededRandom(at);
    const entity = random.below(300);
    const others = [other(CHALLENGER, random.next() < 0.1 ? { micros: 6_000 + at } : {})];
    const arm = entity < 30 ? 'challenger' : 'champion';
    const decision = random.next() < 0.1 ? 'block' : 'allow';
    if (random.next() < 0.05) return { ...row(entity), entity: null, others: [failed(CHALLENGER)] };
    // Names that look like the numbers of other entities.
    return { ...row(entity), entity: entity % 2 === 0 ? entity : String(entity - 1), arm, others, decision } as const;
  });
  const audited: SkewFound = {
    rows: Array.from({ length: 90 }, (_, at) => ({
      entity: at % 7 === 0 ? null : at % 30,
      cause: at === 3 ? 'lateLabel' : null,
    })),
    defects: [],
  };
  const take = (from: number, to: number): OperationalEvidence => {
    const evidence = new OperationalEvidence(options);
    for (const each of rows.slice(from, to)) evidence.observe(each);
    return evidence;
  };
  const whole = take(0, rows.length);
  whole.observeSkew(audited);

  test('that was interrupted goes on from its state, through JSON, as if nothing had happened', () => {
    const resumed = OperationalEvidence.decode(options, JSON.parse(JSON.stringify(take(0, 1_234).encode())));
    for (const each of rows.slice(1_234)) resumed.observe(each);
    resumed.observeSkew(audited);
    expect(resumed.encode()).toEqual(whole.encode());
    expect(resumed.judge(1)).toEqual(whole.judge(1));
  });

  test('of parts is that of the whole', () => {
    const merged = take(0, 1_000);
    merged.merge(take(1_000, 1_001));
    const rest = take(1_001, rows.length);
    rest.observeSkew(audited);
    merged.merge(rest);
    expect(merged.encode()).toEqual(whole.encode());
    // In another order the entities come in another order, and so do their sums: equal but for rounding.
    const turned = take(1_001, rows.length);
    turned.merge(take(0, 1_001));
    for (const [at, verdict] of turned.judge(1).slice(0, 3).entries()) {
      expect(verdict.low).toBeCloseTo(whole.judge(1)[at]?.low as number, 12);
      expect(verdict.high).toBeCloseTo(whole.judge(1)[at]?.high as number, 12);
    }
  });

  test('that is torn or of another phase is refused', () => {
    const state = whole.encode();
    const { counts, batches } = state;
    const damaged: readonly unknown[] = [
      null,
      {},
      { ...state, mode: 'shadow' },
      { ...state, challenger: 3 },
      { ...state, champion: null },
      { ...state, underMicros: 6_000 },
      { ...state, format: 1 },
      { ...state, requests: -1 },
      { ...state, skew: { ...state.skew, differing: state.skew.vectors.map((count) => count + 1) } },
      { ...state, skew: { ...state.skew, vectors: state.skew.vectors.slice(1) } },
      { ...state, skew: { ...state.skew, causes: {} } },
      { ...state, skew: { vectors: 1, differing: 0 } },
      { ...state, counts: { ...counts, slow: counts.slow.slice(1) } },
      { ...state, counts: { ...counts, failed: counts.failed.map(() => 0.5) } },
      { ...state, counts: { ...counts, entities: counts.entities.map(() => 'same') } },
      { ...state, counts: { ...counts, entities: [{}] } },
      { ...state, batches: { ...batches, slow: -1 } },
      { ...state, batches: { ...batches, open: [[0, 1]] } },
      { ...state, batches: { ...batches, open: undefined } },
    ];
    for (const each of damaged) {
      let thrown: unknown = null;
      try {
        OperationalEvidence.decode(options, each);
      } catch (error) {
        thrown = error;
      }
      expect(isTidemillError(thrown, 'STATE_CORRUPT'), JSON.stringify(each)?.slice(0, 100)).toBe(true);
    }
  });
});
