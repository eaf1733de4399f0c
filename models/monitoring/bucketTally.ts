import type { ScoreRole } from '../../contracts/records.js';
import { finiteOrNull } from '../../features/finiteOrNull.js';
import { parseState } from './parseState.js';
import { compareCells, type Cell, type Mergeable } from './mergeable.js';

/** Buckets that a partition has closed: what it counted in them since it closed others. */
export interface ClosedBuckets<Counts> {
  /** Number of the first bucket that was open before; null where none had been closed. */
  readonly from: number | null;
  /** Number of the first bucket that is open now. */
  readonly to: number;
  /** In their one order; those of buckets before `from` are what came late. */
  readonly cells: readonly Cell<Counts>[];
}

/**
 * Counts of one partition by bucket of event time, until the bucket is over: when the greatest time of the partition is past
 * its end by the delay. What comes later is counted as well and goes with the next bucket that closes.
 *
 *   bucket   7 closed | 8 closed | 9 open        greatest time - delay is in bucket 9
 *   told     7        | 8, and what came late for 7
 *
 * What it holds, and when it closes what, depends on the records of its one partition alone.
 */
export class BucketTally<Counts extends Mergeable<Counts>> {
  private readonly buckets = new Map<number, Cell<Counts>[]>();
  /** Buckets that changed since the last call of `entries`. */
  private readonly changed = new Set<number>();
  /** Buckets that changed since the last call of `ahead`: no part of the state. */
  private readonly untold = new Set<number>();
  private greatest = Number.NEGATIVE_INFINITY;
  private open = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly options: {
      readonly bucketMs: number;
      /** How far the greatest time is past the end of a bucket when that is complete. */
      readonly delayMs: number;
      readonly create: () => Counts;
      readonly decode: (encoded: never) => Counts;
    },
  ) {}

  /** Greatest time so far, -Infinity before the first. */
  get time(): number {
    return this.greatest;
  }

  /** What a version's request counts in. */
  cell(at: number, version: number, role: ScoreRole): Counts {
    const bucket = Math.floor(at / this.options.bucketMs);
    let cells = this.buckets.get(bucket);
    if (cells === undefined) this.buckets.set(bucket, (cells = []));
    this.changed.add(bucket);
    this.untold.add(bucket);
    // A bucket has as many as versions were deployed in it: a handful.
    for (const cell of cells) if (cell.version === version && cell.role === role) return cell.counts;
    const counts = this.options.create();
    cells.push({ bucket, version, role, counts });
    return counts;
  }

  /** Time has come to `time`; what is closed by that is handed out and no longer held. Null where nothing is. */
  advance(time: number): ClosedBuckets<Counts> | null {
    if (time <= this.greatest) return null;
    this.greatest = time;
    const to = Math.floor((time - this.options.delayMs) / this.options.bucketMs);
    if (to <= this.open) return null;
    const cells: Cell<Counts>[] = [];
    for (const [bucket, closed] of this.buckets) {
      if (bucket >= to) continue;
      for (const cell of closed) if (!cell.counts.isEmpty) cells.push(cell);
      this.buckets.delete(bucket);
      this.changed.add(bucket);
      this.untold.delete(bucket);
    }
    const { closedUpTo: from } = this;
    this.open = to;
    return { from, to, cells: cells.sort(compareCells) };
  }

  /** Number of the first bucket that is open; null where none has been closed. */
  get closedUpTo(): number | null {
    return finiteOrNull(this.open);
  }

  /** What is held of the buckets that changed since the last call; it is held on, and handed out when they close. */
  ahead(): Cell<Counts>[] {
    const cells = [...this.untold].flatMap((bucket) => this.buckets.get(bucket) ?? []);
    this.untold.clear();
    return cells.sort(compareCells);
  }

  /** What changed since the last call, value null for what is gone. */
  *entries(): Iterable<readonly [key: string, value: string | null]> {
    for (const bucket of this.changed) {
      const cells = this.buckets.get(bucket);
      yield [String(bucket), cells === undefined ? null : encodeCells(cells)];
    }
    this.changed.clear();
    if (Number.isFinite(this.greatest)) yield ['time', JSON.stringify([this.greatest, this.open])];
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(key: string, value: string): void {
    if (key === 'time') {
      [this.greatest, this.open] = parseState<[number, number]>(value);
      return;
    }
    const bucket = Number(key);
    this.buckets.set(bucket, decodeCells(value, bucket, this.options.decode));
    this.untold.add(bucket);
  }
}

/** Cells of one bucket as text, the same for equal counts. */
export function encodeCells(cells: readonly Cell<Mergeable<unknown>>[]): string {
  const sorted = [...cells].sort(compareCells);
  return JSON.stringify(sorted.map(({ version, role, counts }) => [version, role, counts.encode()]));
}

/** @throws TidemillError STATE_CORRUPT */
export function decodeCells<Counts>(value: string, bucket: number, decode: (encoded: never) => Counts): Cell<Counts>[] {
  return parseState<[number, ScoreRole, never][]>(value).map(([version, role, encoded]) => {
    return { bucket, version, role, counts: decode(encoded) };
  });
}
