/** One merge that a compaction of the archive made. */
export interface CompactedRange {
  readonly topic: string;
  readonly partition: number;
  /** Offsets: first <= offset <= last. */
  readonly first: number;
  readonly last: number;
  readonly rows: number;
  /** Files that count no more. */
  readonly replaced: number;
  readonly bytes: number;
}
