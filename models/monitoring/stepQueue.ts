import { decodeCells, encodeCells } from './bucketTally.js';
import { compareCells, type Cell, type Mergeable } from './mergeable.js';
import { parseState } from './parseState.js';

/** Cells that count from a step on, in their one order. */
export interface Step<Counts> {
  /** Every partition has closed the bucket of this number. */
  readonly bucket: number;
  readonly cells: readonly Cell<Counts>[];
}

/**
 * Brings the closed buckets of all partitions into one order, that of time: a step for each bucket, taken once every partition
 * has closed it. The steps, and what is in each, are the same however the partitions' blocks mix.
 *
 *   partition 0   closes up to 8 ────── up to 9
 *   partition 1        closes up to 7 ────────── up to 9      (closes 7 and 8 at once)
 *   steps              7 (of both)               8 (of both)
 *
 * What comes late for a bucket is known with the first one that its partition closes after it. Where a partition's first block
 * does not begin with its first bucket, as after a reset that does not go back to the start, the buckets before it are left out:
 * what is known of them would be a part.
 */
export class StepQueue<Counts extends Mergeable<Counts>> {
  /** By the step from which they count: cells, those of all partitions together. */
  private readonly waiting = new Map<number, Cell<Counts>[]>();
  private readonly changed = new Set<number>();
  /** First open bucket, by partition. */
  private readonly open: number[];
  /** Buckets before this one are known in part. */
  private whole = Number.NEGATIVE_INFINITY;

  constructor(
    partitions: number,
    private readonly decode: (encoded: never) => Counts,
  ) {
    this.open = new Array<number>(partitions).fill(Number.NEGATIVE_INFINITY);
  }

  /** First bucket that some partition has not closed; -Infinity before all have closed one. */
  get closedUpTo(): number {
    return Math.min(...this.open);
  }

  /** @returns the steps that can be taken now, in their order. */
  take(upstream: number, from: number | null, to: number | null, cells: readonly Cell<Counts>[]): Step<Counts>[] {
    if (from !== null && this.open[upstream] === Number.NEGATIVE_INFINITY) this.whole = Math.max(this.whole, from);
    for (const cell of cells) this.add(Math.max(cell.bucket, from ?? cell.bucket), cell);
    if (to === null) return [];
    this.open[upstream] = Math.max(this.open[upstream] as number, to);
    const ready = [...this.waiting.keys()].filter((bucket) => bucket < this.closedUpTo).sort((a, b) => a - b);
    return ready.map((bucket): Step<Counts> => {
      const taken = this.waiting.get(bucket) as Cell<Counts>[];
      this.waiting.delete(bucket);
      this.changed.add(bucket);
      const known = taken.filter((cell) => cell.bucket >= this.whole && !cell.counts.isEmpty);
      return { bucket, cells: known.sort(compareCells) };
    });
  }

  private add(step: number, cell: Cell<Counts>): void {
    let cells = this.waiting.get(step);
    if (cells === undefined) this.waiting.set(step, (cells = []));
    this.changed.add(step);
    const own = cells.find((each) => compareCells(each, cell) === 0);
    if (own === undefined) cells.push(cell);
    else own.counts.merge(cell.counts);
  }

  /** What changed since the last call, value null for what is gone. */
  *entries(): Iterable<readonly [key: string, value: string | null]> {
    for (const step of this.changed) {
      const cells = this.waiting.get(step);
      yield [String(step), cells === undefined ? null : encodeByBucket(cells)];
    }
    this.changed.clear();
    yield [
      'open',
      JSON.stringify([this.whole, ...this.open].map((bucket) => (Number.isFinite(bucket) ? bucket : null))),
    ];
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(key: string, value: string): void {
    if (key === 'open') {
      const [whole = null, ...open] = parseState<(number | null)[]>(value);
      this.whole = whole ?? Number.NEGATIVE_INFINITY;
      for (const [at, bucket] of open.entries()) this.open[at] = bucket ?? Number.NEGATIVE_INFINITY;
      return;
    }
    const byBucket = parseState<[number, string][]>(value);
    const cells = byBucket.flatMap(([bucket, encoded]) => decodeCells(encoded, bucket, this.decode));
    this.waiting.set(Number(key), cells);
  }
}

function encodeByBucket(cells: readonly Cell<Mergeable<unknown>>[]): string {
  const buckets = [...new Set(cells.map(({ bucket }) => bucket))].sort((a, b) => a - b);
  return JSON.stringify(buckets.map((bucket) => [bucket, encodeCells(cells.filter((cell) => cell.bucket === bucket))]));
}
