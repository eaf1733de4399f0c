/** A gate passes, fails or is inconclusive; what does not apply is said so before any data is read. Missing data never passes. */
export type VerdictKind = 'pass' | 'fail' | 'inconclusive' | 'notApplicable';

/** What a gate said and on what grounds: stored with the version, shown wherever the verdict is. */
export interface Verdict {
  /** `atLeast(auc, 0.8)` */
  readonly gate: string;
  readonly kind: 'data' | 'absolute' | 'champion' | 'baseline' | 'operational' | 'outcome';
  readonly verdict: VerdictKind;
  /** The measured value; for a comparison candidate minus reference. */
  readonly value: number | null;
  /** Interval of a comparison. */
  readonly low: number | null;
  readonly high: number | null;
  readonly bound: number | null;
  readonly rows: number;
  /** Labels that are positive; for an operational gate the requests that had what it bounds. */
  readonly positives: number;
  /** Number of the look, from 1. */
  readonly look: number;
  readonly reason: string;
}

/**
 * May a version be promoted? Nothing failed or stayed open; and where something did not apply, at least one absolute gate
 * and the comparison with the baseline passed.
 */
export function promotionAllowed(verdicts: readonly Verdict[]): boolean {
  if (verdicts.length === 0) return false;
  if (verdicts.some(({ verdict }) => verdict === 'fail' || verdict === 'inconclusive')) return false;
  const passed = (kind: Verdict['kind']): boolean =>
    verdicts.some((each) => each.kind === kind && each.verdict === 'pass');
  if (!verdicts.some(({ verdict }) => verdict === 'notApplicable')) return passed('absolute');
  return passed('absolute') && passed('baseline');
}
