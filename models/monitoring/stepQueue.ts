import { finiteOrNull } from '../../features/finiteOrNull.js';
import { leastActive } from '../../features/progress.js';
import { decodeCells, encodeCells } from './bucketTally.js';
import { compareCells, type Cell, type Mergeable } from './mergeable.js';
import { parseState } from './parseState.js';

/** Cells that count from a step on, in their one order. */
export interface Step<Counts> {
  /** Every partition has closed the bucket of this number. */
  readonly bucket: number;
  readonly cells: readonly Cell<Counts>[];
}

/** What a partition says of its buckets. */
export interface Closing<Counts> {
  readonly upstream: number;
  /** See ClosedBuckets. */
  readonly from: number | null;
  /** Null where no bucket is closed by it. */
  readonly to: number | null;
  /** Of a block that closes buckets: what they hold. Of one that says whether the partition is idle: what it holds so far. */
  readonly cells: readonly Cell<Counts>[];
  /** Undefined where buckets are closed. */
  readonly isIdle: boolean | undefined;
}

/** What is known of a partition. */
interface Partition {
  /** First open bucket. */
  open: number;
  isIdle: boolean;
}

/**
 * Brings the closed buckets of all partitions into one order, that of time: a step for each bucket, taken once every partition
 * has closed it. The steps, and what is in each, are the same however the partitions' blocks mix.
 *
 *   partition 0   closes up to 8 ────── up to 9
 *   partition 1        closes up to 7 ────────── up to 9      (closes 7 and 8 at once)
 *   steps              7 (of both)               8 (of both)
 *
 * Whoever is idle holds up nobody. What it holds of its open buckets it has said, and that counts with the buckets that the others
 * close, until it closes them itself: then the difference counts, if there is one.
 *
 * What comes late for a bucket is known with the first one that its partition closes after it. Where a partition's first block
 * does not begin with its first bucket, as after a reset that does not go back to the start, the buckets before it are left out:
 * what is known of them would be a part.
 */
export class StepQueue<Counts extends Mergeable<Counts>> {
  /** By the step from which they count: cells, those of all partitions together. */
  private readonly waiting = new Map<number, Cell<Counts>[]>();
  private readonly changed = new Set<number>();
  /** What has been counted of buckets that their partition has not closed, by partition and bucket. */
  private readonly ahead = new Map<string, Cell<Counts>[]>();
  private readonly changedAhead = new Set<string>();
  private readonly partitions: readonly Partition[];
  private closed = Number.NEGATIVE_INFINITY;
  /** Buckets before this one are known in part. */
  private whole = Number.NEGATIVE_INFINITY;

  constructor(
    partitions: number,
    private readonly counts: { readonly create: () => Counts; readonly decode: (encoded: never) => Counts },
  ) {
    this.partitions = Array.from({ length: partitions }, () => ({ open: Number.NEGATIVE_INFINITY, isIdle: false }));
  }

  /**
   * First bucket that some partition has not closed; -Infinity before all have been heard of. Who wakes late does not take it
   * back.
   */
  get closedUpTo(): number {
    return this.closed;
  }

  /** @returns the steps that can be taken now, in their order. */
  take({ upstream, from, to, cells, isIdle }: Closing<Counts>): Step<Counts>[] {
    const partition = this.partitions[upstream] as Partition;
    if (from !== null && partition.open === Number.NEGATIVE_INFINITY) this.whole = Math.max(this.whole, from);
    partition.isIdle = isIdle === true;
    const isAhead = isIdle !== undefined;
    for (const cell of cells) this.count(upstream, from, cell, isAhead);
    if (!isAhead && to === null) return [];
    if (!isAhead && to !== null) this.dropAhead(upstream, from, to);
    partition.open = Math.max(partition.open, to ?? from ?? Number.NEGATIVE_INFINITY);
    this.closed = Math.max(
      this.closed,
      leastActive(this.partitions, ({ open }) => open),
    );
    return this.ready();
  }

  private ready(): Step<Counts>[] {
    const ready = [...this.waiting.keys()].filter((bucket) => bucket < this.closedUpTo).sort((a, b) => a - b);
    return ready.map((bucket): Step<Counts> => {
      const taken = this.waiting.get(bucket) as Cell<Counts>[];
      this.waiting.delete(bucket);
      this.changed.add(bucket);
      const known = taken.filter((cell) => cell.bucket >= this.whole && !cell.counts.isEmpty);
      return { bucket, cells: known.sort(compareCells) };
    });
  }

  /** Counts a cell, and no longer what was counted of it ahead. */
  private count(upstream: number, from: number | null, cell: Cell<Counts>, isAhead: boolean): void {
    const step = stepOf(cell, from);
    const key = `${upstream}/${cell.bucket}`;
    const known = this.ahead.get(key) ?? [];
    const before = known.find((each) => compareCells(each, cell) === 0);
    this.add(step, cell, 1);
    if (before !== undefined) this.add(step, before, -1);
    if (before === undefined && !isAhead) return;
    this.setAhead(key, [...known.filter((each) => each !== before), ...(isAhead ? [cell] : [])]);
  }

  /** Of buckets that are closed now nothing is ahead, whatever was said before. */
  private dropAhead(upstream: number, from: number | null, to: number): void {
    for (const [key, cells] of this.ahead) {
      const [partition, bucket] = key.split('/').map(Number) as [number, number];
      if (partition !== upstream || bucket >= to) continue;
      for (const cell of cells) this.add(stepOf(cell, from), cell, -1);
      this.setAhead(key, []);
    }
  }

  private setAhead(key: string, cells: Cell<Counts>[]): void {
    if (cells.length === 0) this.ahead.delete(key);
    else this.ahead.set(key, cells);
    this.changedAhead.add(key);
  }

  private add(step: number, { counts, ...about }: Cell<Counts>, times: 1 | -1): void {
    let cells = this.waiting.get(step);
    if (cells === undefined) this.waiting.set(step, (cells = []));
    this.changed.add(step);
    let own = cells.find((each) => compareCells(each, { ...about, counts }) === 0);
    if (own === undefined) cells.push((own = { ...about, counts: this.counts.create() }));
    own.counts.merge(counts, times);
  }

  /** What changed since the last call, value null for what is gone. */
  *entries(): Iterable<readonly [key: string, value: string | null]> {
    for (const step of this.changed) {
      const cells = this.waiting.get(step);
      yield [String(step), cells === undefined ? null : encodeByBucket(cells)];
    }
    this.changed.clear();
    for (const key of this.changedAhead) {
      const cells = this.ahead.get(key);
      yield [`a${key}`, cells === undefined ? null : encodeCells(cells)];
    }
    this.changedAhead.clear();
    yield ['open', JSON.stringify([this.whole, ...this.partitions.map(({ open }) => open)].map(finiteOrNull))];
    yield ['idle', JSON.stringify([finiteOrNull(this.closed), ...this.partitions.map(({ isIdle }) => isIdle)])];
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(key: string, value: string): void {
    if (key === 'open') {
      const [whole = null, ...open] = parseState<(number | null)[]>(value);
      this.whole = whole ?? Number.NEGATIVE_INFINITY;
      for (const [at, bucket] of open.entries())
        (this.partitions[at] as Partition).open = bucket ?? Number.NEGATIVE_INFINITY;
      return;
    }
    if (key === 'idle') {
      const [closed = null, ...idle] = parseState<[number | null, ...boolean[]]>(value);
      this.closed = closed ?? Number.NEGATIVE_INFINITY;
      for (const [at, isIdle] of idle.entries()) (this.partitions[at] as Partition).isIdle = isIdle;
      return;
    }
    if (key.startsWith('a')) {
      this.ahead.set(key.slice(1), decodeCells(value, Number(key.split('/')[1]), this.counts.decode));
      return;
    }
    const byBucket = parseState<[number, string][]>(value);
    const cells = byBucket.flatMap(([bucket, encoded]) => decodeCells(encoded, bucket, this.counts.decode));
    this.waiting.set(Number(key), cells);
  }
}

function stepOf({ bucket }: Cell<unknown>, from: number | null): number {
  return Math.max(bucket, from ?? bucket);
}

function encodeByBucket(cells: readonly Cell<Mergeable<unknown>>[]): string {
  const buckets = [...new Set(cells.map(({ bucket }) => bucket))].sort((a, b) => a - b);
  return JSON.stringify(buckets.map((bucket) => [bucket, encodeCells(cells.filter((cell) => cell.bucket === bucket))]));
}
