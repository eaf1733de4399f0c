import type { Verdict } from './verdict.js';

/** What is known about a dataset. */
export interface DatasetFacts {
  readonly rows: number;
  readonly positives: number;
  readonly columns: readonly string[];
  /** Share of nulls per column. */
  readonly nullShares: readonly number[];
  /** Rows with a label among those whose label is due. */
  readonly labelledShare: number;
}

export interface DataLimits {
  readonly minRows: number;
  readonly minPositives: number;
  readonly maxNullShare: number;
  readonly minLabelledShare: number;
}

export const DEFAULT_DATA_LIMITS: DataLimits = {
  minRows: 1_000,
  minPositives: 30,
  maxNullShare: 0.9,
  minLabelledShare: 0.95,
};

/** Judges a dataset before anything is trained on it. Too little data is inconclusive, broken data fails. */
export function judgeData(facts: DatasetFacts, limits: DataLimits = DEFAULT_DATA_LIMITS): Verdict[] {
  const { rows, positives } = facts;
  const verdict = (
    gate: string,
    kind: 'pass' | 'fail' | 'inconclusive',
    value: number,
    bound: number,
    reason: string,
  ): Verdict => ({
    gate,
    kind: 'data',
    verdict: kind,
    value,
    low: null,
    high: null,
    bound,
    rows,
    positives,
    look: 1,
    reason,
  });
  const atLeast = (gate: string, value: number, bound: number): Verdict =>
    verdict(gate, value >= bound ? 'pass' : 'inconclusive', value, bound, `${value} of at least ${bound}`);
  let worst = 0;
  for (const [at, share] of facts.nullShares.entries()) if (share > (facts.nullShares[worst] ?? 0)) worst = at;
  const worstShare = facts.nullShares[worst] ?? 0;
  return [
    atLeast('rows', rows, limits.minRows),
    atLeast('positives', positives, limits.minPositives),
    verdict(
      'nulls',
      worstShare <= limits.maxNullShare ? 'pass' : 'fail',
      worstShare,
      limits.maxNullShare,
      `${facts.columns[worst] ?? 'no column'} is null in ${(worstShare * 100).toFixed(1)} % of the rows`,
    ),
    atLeast('labelled share', facts.labelledShare, limits.minLabelledShare),
  ];
}
