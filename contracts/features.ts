/** What workflows say about features: plain types, so that workflow code may import them. */

/** That live instances compute what a version reads, and compute it right. */
export interface ReadyFeatures {
  /** Hash of the version's feature service. */
  readonly service: string;
  /** Views that the champion does not read. */
  readonly added: readonly string[];
  /** Who computes them; empty where nobody is live. */
  readonly instances: readonly string[];
  /** Vectors that instances computed, against the interpreter's within the same cuts. */
  readonly parity: { readonly rows: number; readonly maxDifference: number } | null;
  readonly reason: string;
}

/** Input of `backfillFeatures`; all but the first three optional. */
export interface BackfillInput {
  readonly view: string;
  /** Event times [from, to), ISO 8601. */
  readonly from: string;
  readonly to: string;
  /** Entities are spread over so many parts by their hash, 1 to 256. @default 4 */
  readonly shares?: number;
  /** Time covered by one part. @default the whole range */
  readonly slice?: string;
}

/** What a backfill is computed from, fixed at its start. */
export interface BackfillSource {
  readonly view: string;
  /** Hash of the view: another definition is another history. */
  readonly hash: string;
  /** Object with the list of files of events. */
  readonly files: { readonly uri: string; readonly sha256: string };
}

export interface BackfillPlan extends BackfillSource {
  /** Offsets after the last archived record that counts, by partition. */
  readonly upTo: Readonly<Record<string, number>>;
  readonly parts: readonly BackfillPart[];
}

/** One part of a history: a share of the entities, in a slice of time. */
export interface BackfillPart {
  /** Event times [from, to), ms. */
  readonly from: number;
  readonly to: number;
  readonly share: number;
  readonly shares: number;
}

/** The file of a part, in the object store; a part without rows has none. */
export interface BackfilledPart {
  readonly rows: number;
  readonly file: { readonly uri: string; readonly sha256: string } | null;
}

export interface BackfillResult {
  readonly outcome: 'backfilled';
  readonly view: string;
  readonly hash: string;
  readonly parts: number;
  readonly rows: number;
  /** Parquet: `__time, __id, __entity` and a column per feature; a row per event of the view's stream. */
  readonly files: readonly { readonly uri: string; readonly sha256: string; readonly rows: number }[];
}

/** Parts of a backfill at most: each is a line of its history. */
export const MAX_BACKFILL_PARTS = 1_000;

/** Id of a backfill: one of a view and range runs at a time. */
export function backfillId(project: string, { view, from, to }: BackfillInput): string {
  return `${project}/backfill/${view}/${from}_${to}`;
}
