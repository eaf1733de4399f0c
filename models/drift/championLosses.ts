import type { OutcomeRecord } from '../../contracts/records.js';
import { finiteOrNull } from '../../features/finiteOrNull.js';
import { compareIds } from '../../features/order.js';
import { rowLogLoss } from '../metrics/probability.js';
import { parseState } from '../monitoring/parseState.js';

/** A loss of the champion, 0..1, on one request. */
export interface LossRow {
  /** Event time of the request. */
  readonly at: number;
  readonly id: number | string;
  readonly version: number;
  readonly loss: number;
}

export interface ClosedLosses {
  /** In the order of the requests. */
  readonly rows: readonly LossRow[];
  /** Event time up to which labels are known in this partition. */
  readonly knownUpTo: number;
  /** Event time up to which rows had been handed out before; null for the first ones. */
  readonly from: number | null;
}

/** Length of a bucket by which requests are complete, and a change is dated. */
export const LOSS_BUCKET_MS = 600_000;

/** A loss above this counts as this: the detector is for bounded values. */
export const MAX_LOSS = 8;

/** The last ms of the last bucket of requests that have all their labels. */
export function completeUpTo(knownUpTo: number, labelDelayMs: number): number {
  return Math.floor((knownUpTo - labelDelayMs) / LOSS_BUCKET_MS) * LOSS_BUCKET_MS - 1;
}

type Held = [at: number, id: number | string, version: number, loss: number];

/**
 * One partition's share of the champion's prequential error: the log loss of its own score of each request once the label is
 * known. Where the challenger of a canary served, the champion's score stands beside it: so the series is of all requests in
 * every mode.
 *
 * Outcomes come in the order in which labels become known. They are held until the bucket of event time that they belong to is
 * complete, and handed out in the order of the requests; one that comes after that is left out, which is a function of this
 * partition's records alone.
 *
 *   labels known up to 10:20, label delay 7 d -> requests up to 10:20 a week earlier are complete
 */
export class ChampionLosses {
  private readonly held = new Map<number, Held[]>();
  /** Buckets that changed since the last call of `entries`. */
  private readonly changed = new Set<number>();
  private knownUpTo = Number.NEGATIVE_INFINITY;
  private closedUpTo = Number.NEGATIVE_INFINITY;

  constructor(private readonly labelDelayMs: number) {}

  /** Takes an outcome; what is complete by it is handed out. Null where nothing is. */
  take(outcome: OutcomeRecord): ClosedLosses | null {
    const { at, id, label, knownAt } = outcome;
    const champion = outcome.revision > 0 || outcome.source === 'censored' ? null : championOf(outcome);
    if (champion !== null && at > this.closedUpTo) {
      const bucket = Math.floor(at / LOSS_BUCKET_MS);
      const row: Held = [at, id, champion.version, Math.min(rowLogLoss(label, champion.score), MAX_LOSS) / MAX_LOSS];
      const rows = this.held.get(bucket);
      if (rows === undefined) this.held.set(bucket, [row]);
      else rows.push(row);
      this.changed.add(bucket);
    }
    if (knownAt <= this.knownUpTo) return null;
    this.knownUpTo = knownAt;
    const complete = completeUpTo(knownAt, this.labelDelayMs);
    if (complete <= this.closedUpTo) return null;
    const from = this.handedOutUpTo;
    this.closedUpTo = complete;
    return { rows: this.closed(complete), knownUpTo: knownAt, from };
  }

  /** Event time up to which rows have been handed out; null where none have. */
  get handedOutUpTo(): number | null {
    return finiteOrNull(this.closedUpTo);
  }

  private closed(until: number): LossRow[] {
    const buckets = [...this.held.keys()].filter((bucket) => bucket * LOSS_BUCKET_MS <= until).sort((a, b) => a - b);
    return buckets.flatMap((bucket) => {
      const rows = this.held.get(bucket) as Held[];
      this.held.delete(bucket);
      this.changed.add(bucket);
      rows.sort((a, b) => a[0] - b[0] || compareIds(a[1], b[1]));
      return rows.map(([at, id, version, loss]) => ({ at, id, version, loss }));
    });
  }

  /** What changed since the last call, value null for what is gone. */
  *entries(): Iterable<readonly [key: string, value: string | null]> {
    for (const bucket of this.changed) {
      const rows = this.held.get(bucket);
      yield [String(bucket), rows === undefined ? null : JSON.stringify(rows)];
    }
    this.changed.clear();
    if (Number.isFinite(this.knownUpTo)) yield ['known', String(this.knownUpTo)];
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(key: string, value: string): void {
    if (key !== 'known') {
      this.held.set(Number(key), parseState<Held[]>(value));
      return;
    }
    this.knownUpTo = parseState<number>(value);
    this.closedUpTo = completeUpTo(this.knownUpTo, this.labelDelayMs);
  }
}

/**
 * What the champion itself said; null where it said nothing. The fallback's scores, version 0 among them, say nothing about
 * a model.
 */
function championOf({ role, version, score, others }: OutcomeRecord): { version: number; score: number } | null {
  if (role === 'champion') return { version, score };
  const [champion] = role === 'challenger' ? others : [];
  return champion === undefined || champion.version === 0 ? null : champion;
}
