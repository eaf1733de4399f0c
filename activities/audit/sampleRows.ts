import { createHash } from 'node:crypto';
import type { PredictionRecord, ServiceVector } from '../../contracts/records.js';
import type { ServedRow } from '../../stores/offline/archiveReader.js';

/** A row, or anything with the place of its request. */
type Placed = Pick<ServedRow, 'partition' | 'offset'>;

/** What decides whether a row is drawn: the seed and the place of its request, and nothing that differs between readings. */
export function samplingKey(seed: string, { partition, offset }: Placed): string {
  // MD5, because DuckDB has it, too: rows of the archive and of the log are drawn alike.
  return createHash('md5').update(`${seed}:${partition}:${offset}`).digest('hex');
}

/**
 * Draws at most `size` rows, each as likely as any other: those whose key is least. The same rows come out in whatever
 * order they are seen, and a row that is seen twice counts once.
 */
export class RowSampler<Row extends Placed> {
  /** By key; more than `size` for a while, so that sorting is rare. */
  private held = new Map<string, Row>();
  /** Keys from here on are not drawn any more; null while there is room. */
  private bound: string | null = null;

  constructor(
    private readonly size: number,
    private readonly seed: string,
  ) {}

  add(row: Row): void {
    const key = samplingKey(this.seed, row);
    if (this.bound !== null && key >= this.bound) return;
    this.held.set(key, row);
    if (this.held.size >= 2 * this.size + 64) this.trim();
  }

  /** The rows drawn so far, in the order of their keys. */
  rows(): readonly Row[] {
    this.trim();
    return [...this.held.values()];
  }

  private trim(): void {
    const sorted = [...this.held].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, this.size);
    this.held = new Map(sorted);
    this.bound = sorted.length < this.size ? null : (sorted.at(-1)?.[0] ?? null);
  }
}

/** Is its vector held against the interpreter's? Not that of a late replay: see ReplayedRequest. */
export function isRecomputed({ replay }: PredictionRecord): boolean {
  return replay?.late !== true;
}

/** The service that an archived row of the prediction names: none where its vector is not whole, or forgot events. */
export function namedService(prediction: PredictionRecord): string {
  return prediction.absent === undefined && isRecomputed(prediction) ? prediction.service : '';
}

/** What an audit needs of a prediction in the log. */
export function servedRow(
  prediction: PredictionRecord,
  appendedAt: number,
  shown: ServiceVector = prediction,
): ServedRow {
  const { id, at, source, cut, version } = prediction;
  const { partition, offset } = source;
  const { service, vector } = shown;
  return { id, at, partition, offset, cut, service, vector, isByRules: version === 0, appendedAt };
}

/**
 * The vector of a service that a prediction shows: that of the version which served, or one that was computed beside it;
 * null where it shows none.
 */
export function vectorOf(
  { service, vector, also }: PredictionRecord,
  wanted: string,
): PredictionRecord['vector'] | null {
  if (service === wanted) return vector;
  return also?.find((each) => each.service === wanted)?.vector ?? null;
}
