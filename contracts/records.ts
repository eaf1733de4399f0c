/** Records of the topics that others read: one JSON object each. Times are ms UTC, offsets are numbers below 2^53. */

/**
 * What the version that served a request was: the champion or the challenger of the deployment in force; or a fallback for
 * a champion without a score: the champion before it, or version 0, the model's rules.
 */
export type ScoreRole = 'champion' | 'challenger' | 'fallback';

/** Which part of a canary's split a request belongs to; outside a canary always `champion`. */
export type Arm = 'champion' | 'challenger';

/** What another version of the deployment says about the same request: not served, logged so that rows stay paired. */
export interface OtherScore {
  /** 0 for the model's fallback rules, which are the champion's side of a canary where there is no champion. */
  readonly version: number;
  readonly role: 'champion' | 'challenger';
  /** Null where the version failed on the request's batch, is broken, or takes no null and the request has one. */
  readonly score: number | null;
  readonly decision: string | null;
  /** Time of the micro-batch in this version, microseconds; 0 where it was not asked. */
  readonly micros: number;
  /** Why there is no score. */
  readonly problem: string | null;
}

/** One committed prediction. Key of the record: the request's own key. */
export interface PredictionRecord {
  readonly id: number | string;
  /** Event time of the request. */
  readonly at: number;
  readonly model: string;
  readonly version: number;
  readonly role: ScoreRole;
  /** Epoch of the deployment under which it was made. */
  readonly epoch: number;
  readonly score: number;
  readonly decision: string;
  /** The arm of the request; a challenger that fails in its arm is stood in for by the champion. */
  readonly arm: Arm;
  /** Time of the micro-batch in the version that served, microseconds; 0 for the rules. */
  readonly micros: number;
  /**
   * The versions of the deployment that did not serve the request, champion first: the challenger in shadow, both ways in
   * a canary, the predecessor in probation; and, in any mode, the champion where a fallback served.
   */
  readonly others: readonly OtherScore[];
  /** Hash of the feature service that the version which served reads; names and order of `vector`. */
  readonly service: string;
  /** The served vector; null where a feature was null. */
  readonly vector: readonly (number | null)[];
  /** Columns of `vector` that nobody computed for this request, which the rules answered; left out where there are none. */
  readonly absent?: readonly number[];
  /**
   * On a sample of requests, while more services are computed than the one that served: their vectors, within the same cut.
   * They show that features are computed right before a version that reads them serves.
   */
  readonly also?: readonly ServiceVector[];
  /** The request's place in the log: first part of the cut. */
  readonly source: SourcePosition;
  /** Id of the CutRecord with the other source partitions of the cut; null where there are none. */
  readonly cut: string | null;
  /** Value of the model's clustering entity (a customer, say), for gates and canaries. */
  readonly entity: number | string | null;
  /** Only where the request is a dead letter's replay. */
  readonly replay?: ReplayedRequest;
  /**
   * Only in ordered mode, where it waited no longer than `maxWait`: what had come up to its time may not have been all.
   */
  readonly early?: true;
}

/** What is special about a request that was replayed from the dead letters. */
export interface ReplayedRequest extends SourcePosition {
  /**
   * It came behind the watermark. It is answered all the same, feeds no window, and windows may have forgotten events that it
   * should have seen: its vector is not held against the interpreter's.
   */
  readonly late: boolean;
}

/** The vector of one feature service. */
export interface ServiceVector {
  /** Hash of the service. */
  readonly service: string;
  readonly vector: readonly (number | null)[];
}

export interface SourcePosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * What had been folded of the other sources when the vectors that name it were computed.
 * `folded[topic][partition]` is the offset after the last one folded.
 */
export interface CutRecord {
  readonly id: string;
  readonly folded: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /**
   * Where views over the requests are keyed by another field than their topic: what of the request stream their stage had
   * folded, by that field and by source partition. A stage and the one before it stand at different places of one topic, so
   * these are no part of `folded`. Cuts of before there were such views have none.
   */
  readonly requests?: Readonly<Record<string, FoldedRequests>>;
}

/**
 * By source partition: offsets in [from, to) had been folded; `to` is null for everything up to the request, it included. What
 * follows are gaps within, [from, to) each, of requests that never came to the stage: no plan in use then had such a view.
 */
export type FoldedRequests = Readonly<
  Record<string, readonly [from: number, to: number | null, ...gaps: (readonly [from: number, to: number])[]]>
>;

/** A record that can never be processed. The value holds the original bytes; the rest is in headers of the same names. */
export interface DeadLetterHeaders {
  readonly 'original-topic': string;
  readonly 'original-partition': string;
  readonly 'original-offset': string;
  readonly code: string;
  readonly message: string;
  /** How often the record has failed, replays included. */
  readonly attempt: string;
  /** Of a replay that failed again: place of the first failure, in the same topic. */
  readonly 'first-partition'?: string;
  readonly 'first-offset'?: string;
}

/** A record already answered (topic duplicates) or behind the watermark (topic late); `value` is the original text. */
export interface SetAsideRecord {
  readonly source: SourcePosition;
  readonly id: number | string;
  readonly at: number;
  /** Late only: the watermark of the source partition at that offset. */
  readonly watermark?: number;
  /** Duplicate only: offset of the record that counts. */
  readonly firstOffset?: number;
  /** Only where the record is a replay: where it first failed. */
  readonly replayOf?: SourcePosition;
  readonly value: string;
}

/** A prediction and its label. Revisions count up from 0 where a label is revised. */
export interface OutcomeRecord {
  readonly id: number | string;
  /** Event time of the request. */
  readonly at: number;
  /** Event time of the label: when it became known. */
  readonly knownAt: number;
  readonly model: string;
  readonly version: number;
  readonly role: ScoreRole;
  readonly epoch: number;
  readonly score: number;
  readonly arm: Arm;
  /**
   * Scores of the other versions that scored the request; those that failed are left out. Where the challenger served, the
   * one there is the champion's.
   */
  readonly others: readonly { readonly version: number; readonly score: number }[];
  readonly label: number;
  readonly entity: number | string | null;
  readonly revision: number;
  /**
   * Where the label comes from: an event of its own; none within the horizon, which means a negative; or an event that is
   * not to be trusted, since the decision kept the truth from showing.
   */
  readonly source: 'natural' | 'absence' | 'censored';
  /** Only of a later revision: what the one before it said, which counts no more. */
  readonly replaces?: Pick<OutcomeRecord, 'label' | 'source'>;
}

/** One finding of the drift monitor. (source, sequence) identifies it; sequence counts up from 1 per source. */
export interface DriftRecord {
  readonly model: string;
  /**
   * Which monitor, on which data: `performance/log_loss`; with the topology's generation, `…/g2`, where it began in the midst of
   * the log.
   */
  readonly source: string;
  readonly sequence: number;
  readonly kind: 'performance' | 'score' | 'feature' | 'label';
  readonly detector: string;
  readonly version: number;
  /** Estimated start of the change, event time. */
  readonly onset: number;
  /** Event time by which all labels that it took were known. */
  readonly detectedAt: number;
  readonly statistic: number;
  readonly threshold: number;
  readonly before: number;
  readonly after: number;
}

/**
 * Head of a model's deployment; value of the compacted topic `deployments`, key: the model.
 *
 *   single   the champion serves
 *   shadow   the champion serves, the challenger scores every request, too; in probation the challenger is the predecessor
 *   canary   the challenger serves the entities whose hash with `salt` lies below `share`; both score every request
 */
export interface DeploymentRecord {
  readonly model: string;
  readonly epoch: number;
  readonly mode: 'single' | 'shadow' | 'canary';
  readonly champion: number | null;
  readonly challenger: number | null;
  /** Share of entities that the challenger serves, 0..1. */
  readonly share: number;
  readonly salt: string;
  /** A version to load and warm without serving it; an instance reports it as readyEpoch. */
  readonly prepare: number | null;
  /**
   * A former champion that may still serve, and does where the champion has no score; null for none. Records of before
   * it was kept have none.
   */
  readonly standIn?: number | null;
}

/** One archived range of a partition. Readers see only files that a manifest names. */
export interface ArchiveManifestRecord {
  readonly topic: string;
  readonly partition: number;
  /** The range: first <= offset <= last. Ranges of one writer follow on one another; what has no row in them has none. */
  readonly first: number;
  readonly last: number;
  readonly rows: number;
  readonly files: readonly { readonly uri: string; readonly sha256: string }[];
  /** Files whose rows are in these files now: with this record they count no more. Absent where rows are new. */
  readonly replaces?: readonly string[];
  /** Identity of the topic, where the broker tells one: one that is deleted and created anew has another. */
  readonly topicId?: string;
  /** What manifests before this one say of the partition is of an earlier topic of that name. */
  readonly begins?: true;
  /** Consumer group of the archive that wrote it, or whose files were merged. Absent where several did. */
  readonly writer?: string;
}

/** An event of a view's stream that the online store lacks: a late one, say. It counts as of its place in the stream's log. */
export interface CorrectionRecord {
  readonly partition: number;
  readonly offset: number;
  /** The original text. */
  readonly value: string;
  /** Only where the event was not late: something has lost it. */
  readonly inTime?: true;
}
