/** Dead letters: records that could not be processed, and what operators decide about them. */

/** Where a record first failed: its identity through any number of replays. */
export interface ReplayOrigin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** What a replayed record says about itself. */
export interface ReplayMark extends ReplayOrigin {
  /** How often the record has failed before. */
  readonly attempt: number;
}

/** Header of a replayed record: a ReplayMark as JSON. */
export const REPLAY_HEADER = 'tidemill-replay';

/** The original headers stand in a dead letter under this prefix. */
export const KEPT_HEADER_PREFIX = 'header.';

/** The mark of a replayed record; null for every other one, and where the header is not what a replay writes. */
export function replayMarkOf(header: Buffer | string | undefined): ReplayMark | null {
  if (header === undefined) return null;
  let mark: Partial<ReplayMark> | null;
  try {
    mark = JSON.parse(header.toString()) as Partial<ReplayMark> | null;
  } catch {
    return null;
  }
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
  const { topic, partition, offset, attempt } = mark ?? {};
  if (typeof topic !== 'string' || !isCount(partition) || !isCount(offset) || !isCount(attempt)) return null;
  return { topic, partition, offset, attempt };
}

/** What was decided about a dead letter; value of the compacted topic of decisions, key: its id. */
export interface DeadLetterDecision {
  readonly decision: 'replayed' | 'discarded';
  /** Wall clock, ms. */
  readonly at: number;
  readonly by: string;
  readonly reason: string;
}

/** One record of the dead-letter topic. */
export interface DeadLetter {
  /** `PARTITION-OFFSET` in the dead-letter topic. */
  readonly id: string;
  /** When it was set aside, ms. */
  readonly at: number;
  /** Where it failed this time. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly code: string;
  readonly message: string;
  /** 1 for a first failure. */
  readonly attempt: number;
  /** Where it failed first. */
  readonly origin: ReplayOrigin;
  /** Bytes of the value; null for a tombstone. */
  readonly bytes: number | null;
}

/** A dead letter with all that it holds. */
export interface DeadLetterContent extends DeadLetter {
  /** The original key and value as text; null where they are no UTF-8, or absent. */
  readonly key: string | null;
  readonly value: string | null;
  readonly keyHex: string | null;
  readonly valueHex: string | null;
  /** The original headers, as text. */
  readonly headers: Readonly<Record<string, string>>;
  readonly decision: DeadLetterDecision | null;
}

/** Which dead letters are meant. */
export interface DeadLetterFilter {
  /** Where they failed. */
  readonly topic?: string;
  readonly code?: string;
  /** Set aside at this time, ms, or later. */
  readonly since?: number;
  /** At most so many, the oldest first. */
  readonly limit?: number;
}

/** Open dead letters: those that nothing was decided about. */
export interface DeadLetterList {
  /** All open ones that the filter means, by topic and code. */
  readonly counts: readonly { readonly topic: string; readonly code: string; readonly count: number }[];
  /** Of these, as many as the limit lets through. */
  readonly letters: readonly DeadLetter[];
}

/** What a replay or discard did, or would do. */
export interface DeadLetterChange {
  readonly decision: 'replayed' | 'discarded';
  /** false: nothing has been changed yet. */
  readonly applied: boolean;
  readonly letters: readonly DeadLetter[];
  /** Those that were named or meant and stay as they are, and why. */
  readonly skipped: readonly { readonly id: string; readonly why: string }[];
}
