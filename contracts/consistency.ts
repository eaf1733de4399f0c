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
  /** Services that requests may have been served under. @default the definition's own, as audits of before planned */
  readonly services?: readonly PlannedService[];
  /** Hash of the service of the version that serves: the limit of skew is held against its rows. @default the definition's */
  readonly serving?: string;
}

/** A feature service that versions of a model read, as it stood when an audit was planned. */
export interface PlannedService {
  /** Hash of the service. */
  readonly service: string;
  readonly versions: readonly number[];
  /** Requests before this event time, ms, have their final value under it; null where none has. */
  readonly finalUpTo: number | null;
}

/** What an audit found of the requests that were served under one feature service. */
export interface ServiceCounts {
  /** Hash of the service. */
  readonly service: string;
  /** Versions that read it; none where only the rules answered under it. */
  readonly versions: readonly number[];
  /** Served requests in the range. */
  readonly rows: number;
  /** Requests of the sample. */
  readonly drawn: number;
  /** Vectors recomputed under it: as many as were drawn, unless there is a `reason`. */
  readonly vectors: number;
  /** Those of them that are not what the interpreter says within their cut. */
  readonly differing: number;
  /** Those of them that event time has otherwise. */
  readonly skewed: number;
  /** Why requests of it cannot be recomputed; null where all can. */
  readonly reason: string | null;
}

/** What recomputing found. */
export interface AuditCounts {
  /** Served requests in the range. */
  readonly rows: number;
  /**
   * Requests without a whole vector: late replays, and answers of the rules before everything was computed. They are not in
   * the sample.
   */
  readonly withoutVector: number;
  /** By the service that requests were served under, the most rows first. Absent in results of before. */
  readonly services?: readonly ServiceCounts[];
  /** Vectors recomputed. */
  readonly vectors: number;
  /** Vectors that are not what the interpreter says within their cut: each of them is a defect. */
  readonly differing: number;
  /** Greatest of these differences; null where a value is missing on one side, or request or cut are not there. */
  readonly maxDifference: number | null;
  readonly skew: {
    readonly share: number;
    readonly byCause: Readonly<Record<SkewCause, number>>;
    /**
     * Is the share, among the vectors of the service that serves now, within what the model's gate `skew` allows? Absent
     * where the model has no such gate.
     */
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
      /** Absent in results of before. */
      readonly services?: readonly ServiceCounts[];
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

/** Requests under services of which nothing could be recomputed. */
function unreadRows(services: readonly ServiceCounts[] = []): number {
  return services.reduce((sum, { rows, vectors, reason }) => sum + (vectors === 0 && reason !== null ? rows : 0), 0);
}

/** What an audit found of one service, in a line. */
export function serviceInWords({ service, versions, rows, vectors, differing, skewed, reason }: ServiceCounts): string {
  const readers = versions.length === 0 ? 'no version' : `version ${versions.join(', ')}`;
  const found =
    vectors === 0
      ? `${rows} requests, none recomputed`
      : `${rows} requests, ${vectors} recomputed, ${differing} differ within their cut, ${skewed} from event time`;
  return `service ${service.slice(0, SHOWN_HASH)} (${readers}): ${found}${reason === null ? '' : `: ${reason}`}`;
}

/** A result in one line. */
export function auditInWords(result: AuditResult): string {
  if (result.outcome === 'inconclusive') return `inconclusive: ${result.reason}`;
  const { outcome, vectors, differing, skew, services } = result;
  const unread = unreadRows(services);
  const causes = SKEW_CAUSES.map((cause) => `${CAUSE_NAMES[cause]} ${skew.byCause[cause]}`).join(', ');
  return `${outcome}: ${differing} of ${vectors} served vectors differ within their cut; ${(skew.share * 100).toFixed(3)} % differ from event time (${causes})${isSkewed(result) ? `, beyond the limit of ${(skew.limit?.atMost ?? 0) * 100} %` : ''}${unread === 0 ? '' : `; ${unread} requests under services that cannot be recomputed`}`;
}

/** Characters of a hash that people are shown. */
const SHOWN_HASH = 12;
