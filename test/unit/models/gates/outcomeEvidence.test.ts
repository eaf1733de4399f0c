import { describe, expect, test } from 'vitest';
import type { OutcomeRecord } from '../../../../contracts/records.js';
import { fraud } from '../../../../examples/fraud/project.js';
import {
  judgeProbation,
  pairedOutcomes,
  PROBATION_SHARES,
  probationDecided,
  probationGates,
  type PairedOutcome,
} from '../../../../models/gates/outcomeEvidence.js';
import type { Verdict, VerdictKind } from '../../../../models/gates/verdict.js';
import { notWorse, superior } from '../../../../models/authoring.js';
import { seededRandom } from '../../../../models/statistics/random.js';
import { drawWorld, trueMetric } from '../../../support/rankedWorld.js';

const VERSIONS = { champion: 2, predecessor: 1 };

const outcome = (id: number | string, changes: Partial<OutcomeRecord> = {}): OutcomeRecord => ({
  ...{ id, at: 1_000, knownAt: 2_000, model: 'fraud', version: 2, role: 'champion', epoch: 7, score: 0.4 },
  ...{ arm: 'champion', others: [{ version: 1, score: 0.3 }], label: 0, entity: 'c1', revision: 0, source: 'natural' },
  ...changes,
});

describe('the outcomes of a probation', () => {
  test('are those that both versions scored, whichever served', () => {
    const rows = pairedOutcomes(
      [
        outcome(1),
        outcome(2, { version: 1, score: 0.3, others: [{ version: 2, score: 0.4 }] }),
        outcome(3, { others: [] }),
        outcome(4, { version: 0, role: 'fallback', others: [{ version: 1, score: 0.3 }] }),
        outcome(5, { others: [{ version: 9, score: 0.3 }] }),
      ],
      VERSIONS,
    );
    const paired = { at: 1_000, label: 0, champion: 0.4, predecessor: 0.3, entity: 'c1' };
    expect(rows).toEqual([
      { id: 1, ...paired },
      { id: 2, ...paired },
    ]);
  });

  test('count once, with the newest label, in the order of the requests', () => {
    const outcomes = [
      outcome(2, { at: 3_000 }),
      outcome(1, { label: 1, revision: 1 }),
      outcome('1', { at: 500 }),
      outcome(1),
      outcome(9, { at: 1_000 }),
    ];
    const labels = (rows: readonly PairedOutcome[]) => rows.map(({ id, label }) => [id, label]);
    const expected = [
      ['1', 0],
      [1, 1],
      [9, 0],
      [2, 0],
    ];
    expect(labels(pairedOutcomes(outcomes, VERSIONS))).toEqual(expected);
    expect(labels(pairedOutcomes(outcomes.reverse(), VERSIONS))).toEqual(expected);
  });
});

describe('a probation asks', () => {
  const gates = (refresh: (typeof fraud.compiled.gates)['refresh'], drift: typeof refresh) =>
    probationGates({ ...fraud.compiled.gates, refresh, drift });
  const ap = notWorse('average_precision', { margin: 0.03 });

  test('not worse of every metric, with the margin of the refresh', () => {
    expect(gates([ap], [superior('average_precision')])).toEqual([ap]);
    expect(gates([ap], [superior('auc')])).toEqual([ap, notWorse('auc', { margin: 0.02 })]);
    expect(gates([superior('auc')], [])).toEqual([notWorse('auc', { margin: 0.02 })]);
    expect(gates([], [])).toEqual([notWorse('average_precision', { margin: 0.02 })]);
  });
});

describe('a probation is', () => {
  const verdict = (kind: VerdictKind): Verdict => ({
    ...{ gate: 'g', kind: 'outcome', verdict: kind, value: 0, low: null, high: null, bound: 0 },
    ...{ rows: 1, positives: 0, look: 1, reason: '' },
  });
  const decide = (look: number, ...kinds: VerdictKind[]) =>
    probationDecided(kinds.map(verdict), { shares: PROBATION_SHARES, look });

  test('rolled back by one gate, confirmed by all, and open in between until the last look', () => {
    expect(decide(1, 'pass', 'fail')).toBe('fail');
    expect(decide(1, 'pass', 'pass')).toBe('pass');
    expect(decide(2, 'pass', 'inconclusive')).toBe('continue');
    expect(decide(3, 'pass', 'inconclusive')).toBe('inconclusive');
    expect(decide(3)).toBe('inconclusive');
  });
});

describe('three looks at a probation', () => {
  const CUSTOMERS = 240;
  const margin = trueMetric('auc', 1.6) - trueMetric('auc', 1.3);
  const gates = [notWorse('auc', { margin })];

  /** Follows one probation to its end; look k sees the customers up to its share. */
  const follow = (seed: string, champion: number, predecessor: number): { decision: string; look: number } => {
    const { rows, a, b } = drawWorld(seededRandom(seed), CUSTOMERS, champion, predecessor);
    const outcomes = Array.from(rows.labels, (label, at): PairedOutcome => {
      const entity = rows.entities[at] ?? null;
      return { id: at, at, label, champion: a[at] as number, predecessor: b[at] as number, entity };
    });
    for (const [index, share] of PROBATION_SHARES.entries()) {
      const looks = { shares: PROBATION_SHARES, look: index + 1 };
      const seen = outcomes.filter(({ entity }) => Number(entity) < share * CUSTOMERS);
      const verdicts = judgeProbation(seen, { gates, looks, seed, resamples: 200 });
      const decision = probationDecided(verdicts, looks);
      if (decision !== 'continue') return { decision, look: looks.look };
    }
    throw new Error('the last look decides');
  };
  const share = (rounds: number, name: string, champion: number, wanted: string): number => {
    const ends = Array.from({ length: rounds }, (_, round) => follow(`${name} ${round}`, champion, 1.6));
    return ends.filter(({ decision }) => decision === wanted).length / rounds;
  };

  test('confirm a version that is worse by the margin at most once in twenty, and roll it back as rarely', () => {
    const ends = Array.from({ length: 300 }, (_, round) => follow(`margin ${round}`, 1.3, 1.6).decision);
    const shareOf = (wanted: string): number => ends.filter((end) => end === wanted).length / ends.length;
    expect(shareOf('pass')).toBeLessThanOrEqual(0.05);
    expect(shareOf('fail')).toBeLessThanOrEqual(0.05);
  });

  test('confirm what is as good, and roll back what is much worse, in nine of ten', () => {
    expect(share(40, 'equal', 1.6, 'pass')).toBeGreaterThanOrEqual(0.9);
    expect(share(40, 'worse', 0.6, 'fail')).toBeGreaterThanOrEqual(0.9);
  });

  test('say that they are of outcomes, on how many rows, and keep to themselves what rests on too few', () => {
    const looks = { shares: PROBATION_SHARES, look: 2 };
    const few = [outcome(1), outcome(2, { label: 1, entity: null })];
    const [verdict] = judgeProbation(pairedOutcomes(few, VERSIONS), { gates, looks, seed: 1 });
    expect(verdict).toMatchObject({ kind: 'outcome', verdict: 'inconclusive', rows: 2, positives: 1, look: 2 });
  });
});
