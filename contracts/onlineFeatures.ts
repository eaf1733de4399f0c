/**
 * How far what is stored can be trusted to be up to date: `fresh` where its writer has confirmed it within the last seconds,
 * `stale` where it has not, or where it has yet to read what came to the stream before that; `missing` where nothing has been
 * written.
 */
export type Freshness = 'fresh' | 'stale' | 'missing';

/** Features of one key as read from the online store. Times are ms UTC. */
export interface OnlineFeatures {
  readonly view: string;
  readonly hash: string;
  readonly key: number | string | boolean | null;
  /** Event time that the values are of. */
  readonly at: number;
  /** Generation that served; null where none does. */
  readonly generation: number | null;
  readonly freshness: Freshness;
  /** When the writer last confirmed this part of the store, by its clock; null where it never did. */
  readonly confirmedAt: number | null;
  /** What had come to the stream by then is in it; null where that is not known. */
  readonly completeAt: number | null;
  /** Greatest event time written; null where nothing was. */
  readonly newest: number | null;
  /** `at` minus the time of the key's latest event; null where there is none that still counts. */
  readonly ageMs: number | null;
  readonly features: readonly {
    readonly name: string;
    /** As in a model's input: 0 or 1 for bool, decimals as numbers. */
    readonly value: number | null;
    readonly status: 'MISSING' | 'EXPIRED' | 'DEFAULTED' | 'NULL' | 'PRESENT';
  }[];
}
