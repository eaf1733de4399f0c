/** The audit of served vectors: plain types and names, so that workflow code may import them. */

/**
 * Why a vector was served otherwise than it is known in event time, by the reason that weighs most.
 *
 *   inFlight    an event was on its way: in the log, or in another task, when the vector was computed
 *   lateEvent   an event came behind its watermark: it never counts online
 *   lateLabel   the same of a stream of labels
 */
export const SKEW_CAUSES = ['inFlight', 'lateEvent', 'lateLabel'] as const;
export type SkewCause = (typeof SKEW_CAUSES)[number];
export const CAUSE_NAMES: Readonly<Record<SkewCause, string>> = {
  inFlight: 'in flight',
  lateEvent: 'late event',
  lateLabel: 'late label',
};

/** Input of `consistencyAudit`; all but `model` optional. */
export interface AuditInput {
  readonly model: string;
  /** Requests from this event time on, ISO 8601. @default a day before `to` */
  readonly from?: string;
  /** Requests before this event time, ISO 8601. @default, and at most, up to where values in event time are final */
  readonly to?: string;
  /** Vectors to recompute, 1 to 100,000. @default 2_000 */
  readonly sample?: number;
}

export const DEFAULT_AUDIT_SAMPLE = 2_000;
export const MAX_AUDIT_SAMPLE = 100_000;

/** Offsets up to which an audit reads each topic, by partition: whoever repeats it reads the same. */
export type AuditEnds = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What one audit looks at; nothing of it changes when it is attempted again. */
export interface AuditPlan {
  readonly model: string;
  /** Event time of requests: from <= time < to, ms. */
  readonly from: number;
  readonly to: number;
  readonly sample: number;
  /** Which rows are drawn follows from this and their places in the log. */
  readonly seed: string;
  readonly ends: AuditEnds;
}

/** What recomputing found. */
export interface AuditCounts {
  /** Served requests in the range. */
  readonly rows: number;
  /** Served under other definitions of the features: they cannot be recomputed with these, and are not in the sample. */
  readonly ofOtherInputs: number;
  /** Vectors recomputed. */
  readonly vectors: number;
  /** Vectors that are not what the interpreter says within their cut: each of them is a defect. */
  readonly differing: number;
  /** Greatest of these differences; null where a value is missing on one side, or request or cut are not there. */
  readonly maxDifference: number | null;
  readonly skew: {
    readonly share: number;
    readonly byCause: Readonly<Record<SkewCause, number>>;
    /** Is the share within what the model's gate `skew` allows? Absent where the model has no such gate. */
    readonly limit?: { readonly atMost: number; readonly verdict: string; readonly reason: string };
  };
  /** The first few findings, in words. */
  readonly findings: readonly string[];
  /** All of them, JSON. */
  readonly report: { readonly uri: string; readonly sha256: string };
}

/** Times are ISO 8601. */
export type AuditResult =
  | ({
      readonly outcome: 'consistent' | 'inconsistent';
      readonly model: string;
      readonly from: string;
      readonly to: string;
    } & AuditCounts)
  | {
      /** There was no vector to recompute: missing data never passes. */
      readonly outcome: 'inconclusive';
      readonly model: string;
      readonly from: string;
      readonly to: string;
      readonly reason: string;
    };

/** @param range names the audit, such as `2024-03-01T00:00:00Z..2024-03-02T00:00:00Z`. */
export function auditId(project: string, model: string, range: string): string {
  return `${project}/audit/${model}/${range}`;
}

/** The range of an input as it stands in a workflow id; null where the input leaves it open. */
export function auditRange({ from, to }: Omit<AuditInput, 'model'>): string | null {
  return from === undefined && to === undefined ? null : `${from ?? 'day'}..${to ?? 'final'}`;
}

/** Action under which the registry's audit keeps the result. */
export const CONSISTENCY_AUDITED = 'consistency.audited';

/** Where the drift cases come from that audits open. */
export const AUDIT_SOURCE = 'audit';

/** Is there proof that a model's skew is beyond its limit? */
export function isSkewed(result: AuditResult): boolean {
  return result.outcome !== 'inconclusive' && result.skew.limit?.verdict === 'fail';
}

/** A result in one line. */
export function auditInWords(result: AuditResult): string {
  if (result.outcome === 'inconclusive') return `inconclusive: ${result.reason}`;
  const { outcome, vectors, differing, skew } = result;
  const causes = SKEW_CAUSES.map((cause) => `${CAUSE_NAMES[cause]} ${skew.byCause[cause]}`).join(', ');
  return `${outcome}: ${differing} of ${vectors} served vectors differ within their cut; ${(skew.share * 100).toFixed(3)} % differ from event time (${causes})${isSkewed(result) ? `, beyond the limit of ${(skew.limit?.atMost ?? 0) * 100} %` : ''}`;
}
