import { parseState } from '../monitoring/parseState.js';
import { LOSS_BUCKET_MS } from './championLosses.js';

/** Losses of one bucket of event time. */
interface LossBucket {
  readonly at: number;
  rows: number;
  sum: number;
}

/** Buckets that are stored together: about a week of them. */
const CHUNK_BUCKETS = 1_024;
/** More than a year; a change further back is dated to the oldest bucket that is left. */
const MAX_CHUNKS = 64;

/** Losses since a version began, by bucket of event time: what a change is dated by. Rows come in the order of time. */
export class LossHistory {
  private readonly chunks = new Map<number, LossBucket[]>();
  private readonly changed = new Set<number>();
  private last: LossBucket | null = null;

  add(at: number, loss: number): void {
    const start = Math.floor(at / LOSS_BUCKET_MS) * LOSS_BUCKET_MS;
    const number = chunkOf(start);
    this.changed.add(number);
    if (this.last !== null && this.last.at === start) {
      this.last.rows++;
      this.last.sum += loss;
      return;
    }
    this.last = { at: start, rows: 1, sum: loss };
    const chunk = this.chunks.get(number);
    if (chunk !== undefined) {
      chunk.push(this.last);
      return;
    }
    this.chunks.set(number, [this.last]);
    if (this.chunks.size > MAX_CHUNKS) this.drop(Math.min(...this.chunks.keys()));
  }

  clear(): void {
    for (const number of this.chunks.keys()) this.drop(number);
    this.last = null;
  }

  private drop(number: number): void {
    this.chunks.delete(number);
    this.changed.add(number);
  }

  /**
   * Where a rise of the mean began: the cumulative sum of the deviations from the overall mean falls before it and climbs
   * after it, so it began behind the least value. (ADWIN says that there was a change; the part of its window that is left
   * over begins long before it where the change is small.)
   *
   *   losses      1 1 1 1 | 3 3        mean 5/3
   *   cumulated   -.7 -1.3 -2 -2.7 -1.3 0     least behind the fourth
   */
  estimateOnset(): number {
    const buckets = [...this.chunks].sort(([a], [b]) => a - b).flatMap(([, chunk]) => chunk);
    let rows = 0;
    let sum = 0;
    for (const bucket of buckets) {
      rows += bucket.rows;
      sum += bucket.sum;
    }
    const mean = sum / rows;
    let cumulated = 0;
    let least = 0;
    let onset = buckets[0]?.at ?? 0;
    for (const [at, bucket] of buckets.entries()) {
      cumulated += bucket.sum - bucket.rows * mean;
      if (cumulated >= least) continue;
      least = cumulated;
      onset = buckets[at + 1]?.at ?? bucket.at;
    }
    return onset;
  }

  /** What changed since the last call, value null for what is gone. */
  *entries(): Iterable<readonly [key: string, value: string | null]> {
    for (const number of this.changed) {
      const chunk = this.chunks.get(number);
      yield [String(number), chunk === undefined ? null : JSON.stringify(chunk)];
    }
    this.changed.clear();
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(key: string, value: string): void {
    const chunk = parseState<LossBucket[]>(value);
    this.chunks.set(Number(key), chunk);
    const newest = chunk.at(-1) ?? null;
    if (newest !== null && (this.last === null || this.last.at < newest.at)) this.last = newest;
  }
}

function chunkOf(at: number): number {
  return Math.floor(at / (LOSS_BUCKET_MS * CHUNK_BUCKETS));
}
