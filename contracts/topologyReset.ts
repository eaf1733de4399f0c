/** Where a new generation of a topology starts in its topics. */
export type ResetStart =
  /** Where the old generation had got to. */
  | { readonly kind: 'committed' }
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  /** At the first record that the log took at this time, ms, or later. */
  | { readonly kind: 'time'; readonly at: number };

/** What the reset of a topology does, or has done. */
export interface TopologyReset {
  /** `score.fraud` */
  readonly topology: string;
  readonly generation: { readonly from: number; readonly to: number };
  readonly group: { readonly from: string; readonly to: string };
  readonly offsets: readonly ResetOffset[];
  /** Internal topics of the old generation with records that nobody has processed: they stay behind. */
  readonly leftBehind: readonly { readonly topic: string; readonly records: number }[];
  /** false: nothing has been changed yet. */
  readonly applied: boolean;
}

export interface ResetOffset {
  readonly topic: string;
  readonly partition: number;
  /** Where the old generation had got to; null where it had no offset. */
  readonly committed: number | null;
  /** Where the new one starts. */
  readonly start: number;
  /** First offset that the log still has, and the one after the last. */
  readonly low: number;
  readonly end: number;
}
