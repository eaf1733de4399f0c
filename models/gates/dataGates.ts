import { wilsonInterval } from '../statistics/proportion.js';
import type { Verdict, VerdictKind } from './verdict.js';

/** What is known about a dataset. */
export interface DatasetFacts {
  readonly rows: number;
  readonly positives: number;
  readonly columns: readonly string[];
  /** Share of nulls per column. */
  readonly nullShares: readonly number[];
  /** Rows with a label among those whose label is due. */
  readonly labelledShare: number;
  /** Rows whose vector is the served one; and those of them whose vector event time has otherwise. */
  readonly asServed?: number;
  readonly skewed?: number;
}

export interface DataLimits {
  readonly minRows: number;
  readonly minPositives: number;
  readonly maxNullShare: number;
  readonly minLabelledShare: number;
  /** Against a reference: how much greater the share of nulls of a column may be. */
  readonly maxNullRise: number;
  /** Against a reference: by which factor the share of positives may differ, up or down. */
  readonly maxLabelRateFactor: number;
}

export const DEFAULT_DATA_LIMITS: DataLimits = {
  minRows: 1_000,
  minPositives: 30,
  maxNullShare: 0.9,
  minLabelledShare: 0.95,
  maxNullRise: 0.1,
  maxLabelRateFactor: 5,
};

/** Confidence of the intervals of the share of positives, and of the share of rows with skew. */
const LABEL_RATE_CONFIDENCE = 0.95;
const SKEW_CONFIDENCE = 0.95;

/**
 * Judges a dataset before anything is trained on it. Too little data is inconclusive, broken data fails.
 *
 * @param reference the champion's training set; without one the two comparisons with it are left out.
 */
export function judgeData(
  facts: DatasetFacts,
  limits: DataLimits = DEFAULT_DATA_LIMITS,
  reference: DatasetFacts | null = null,
): Verdict[] {
  const { rows, positives } = facts;
  const verdict = (
    gate: string,
    kind: VerdictKind,
    value: number | null,
    bound: number,
    reason: string,
    interval: { low: number | null; high: number | null } = { low: null, high: null },
  ): Verdict => ({ gate, kind: 'data', verdict: kind, value, ...interval, bound, rows, positives, look: 1, reason });
  const atLeast = (gate: string, value: number, bound: number): Verdict =>
    verdict(gate, value >= bound ? 'pass' : 'inconclusive', value, bound, `${value} of at least ${bound}`);
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

  const worst = greatest(facts.nullShares);
  const verdicts = [
    atLeast('rows', rows, limits.minRows),
    atLeast('positives', positives, limits.minPositives),
    verdict(
      'nulls',
      worst.value <= limits.maxNullShare ? 'pass' : 'fail',
      worst.value,
      limits.maxNullShare,
      `${facts.columns[worst.at] ?? 'no column'} is null in ${percent(worst.value)} of the rows`,
    ),
    atLeast('labelled share', facts.labelledShare, limits.minLabelledShare),
  ];
  if (reference === null) return verdicts;

  const rises = facts.columns.map((column, at) => {
    const before = reference.nullShares[reference.columns.indexOf(column)];
    // A column that the reference does not have has nothing to rise from.
    return before === undefined ? 0 : (facts.nullShares[at] ?? 0) - before;
  });
  const rise = greatest(rises);
  verdicts.push(
    verdict(
      'null rise',
      rise.value <= limits.maxNullRise ? 'pass' : 'fail',
      rise.value,
      limits.maxNullRise,
      `nulls of ${facts.columns[rise.at] ?? 'no column'} rose by ${percent(rise.value)} of the rows`,
    ),
  );

  const factor = limits.maxLabelRateFactor;
  if (rows === 0 || reference.rows === 0 || reference.positives === 0) {
    verdicts.push(verdict('label rate', 'inconclusive', null, factor, 'there are no rates to compare'));
    return verdicts;
  }
  const before = reference.positives / reference.rows;
  const now = positives / rows;
  const interval = wilsonInterval(positives, rows, LABEL_RATE_CONFIDENCE);
  const within = (rate: number): boolean => rate <= before * factor && rate >= before / factor;
  const isBeyond = interval.low > before * factor || interval.high < before / factor;
  verdicts.push(
    verdict(
      'label rate',
      within(now) ? 'pass' : isBeyond ? 'fail' : 'inconclusive',
      now,
      factor,
      `${percent(now)} are positive, ${percent(before)} were; at most ${factor} times more or less`,
      interval,
    ),
  );
  return verdicts;
}

/**
 * Judges how many of the served rows of a dataset event time has otherwise: what is learned from them is not what would be
 * known had everything come at once. It fails where the share is shown to be above the margin. A window in which nothing was
 * served has nothing to judge: to refuse it would forbid training for as long as the window is (ADR 0002).
 */
export function judgeDataSkew({ rows, positives, asServed = 0, skewed = 0 }: DatasetFacts, margin: number): Verdict {
  const head = { gate: `skew(${margin})`, kind: 'data', bound: margin, rows: asServed, look: 1 } as const;
  if (asServed === 0) {
    const reason = `none of ${rows} rows was served`;
    return { ...head, verdict: 'notApplicable', value: null, low: null, high: null, positives, reason };
  }
  const value = skewed / asServed;
  const { low, high } = wilsonInterval(skewed, asServed, SKEW_CONFIDENCE);
  const verdict = value < margin ? 'pass' : low > margin ? 'fail' : 'inconclusive';
  const percent = (share: number): string => `${(share * 100).toFixed(3)} %`;
  const reason = `${percent(value)} of ${asServed} served rows differ from event time; below ${percent(margin)} is asked`;
  return { ...head, verdict, value, low, high, positives: skewed, reason };
}

function greatest(values: readonly number[]): { at: number; value: number } {
  let at = 0;
  for (const [index, value] of values.entries()) if (value > (values[at] ?? 0)) at = index;
  return { at, value: values[at] ?? 0 };
}
