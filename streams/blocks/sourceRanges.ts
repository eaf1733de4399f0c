import type { FoldedRequests } from '../../contracts/records.js';
import type { Block } from './block.js';

interface SourceRange {
  from: number;
  to: number;
  /** Offsets [from, to) within it that were sent to nobody. */
  readonly gaps: (readonly [from: number, to: number])[];
  /** Event time from which on there is no gap; null where that is from the first request of the source on. */
  wholeSince: number | null;
}

/** One partition, as it stands in a snapshot. */
type StoredRange = readonly [
  partition: number,
  from: number,
  to: number,
  gaps?: readonly (readonly [from: number, to: number])[],
  wholeSince?: number | null,
];

/**
 * Which source offsets a task has folded of each source partition, from the blocks that it has read. Upstream tasks write in
 * the order of their source, and say how far they have come even to a partition for which they have no rows:
 *
 *   block of customer-1   rows 17, 21   range [15, 24)
 *   block of customer-1   no rows       range [24, 30)   -> [15, 30)
 *   block of customer-1   row 43        range [41, 44)   -> [15, 44) but [30, 41)
 *
 * A gap is what was read while no view was fed: the view was taken away, and is there again.
 */
export class SourceRanges {
  private readonly ranges = new Map<number, SourceRange>();

  /** @param time that of the block: what follows is later, or late. */
  observe(
    {
      sourcePartition,
      sourceRange,
      rows,
      tellsGaps,
    }: Pick<Block, 'sourcePartition' | 'sourceRange' | 'rows' | 'tellsGaps'>,
    time: number | null = null,
  ): void {
    const first = rows[0]?.offset;
    // A block of before ranges were written covers its rows, at least.
    const range = sourceRange ?? (first === undefined ? null : ([first, (rows.at(-1)?.offset ?? first) + 1] as const));
    if (range === null) return;
    const [from, to] = range;
    const known = this.ranges.get(sourcePartition);
    if (known === undefined) {
      this.ranges.set(sourcePartition, { from, to, gaps: [], wholeSince: from === 0 ? null : time });
      return;
    }
    if (tellsGaps === true && from > known.to) {
      known.gaps.push([known.to, from]);
      known.wholeSince = time;
    }
    known.from = Math.min(known.from, from);
    known.to = Math.max(known.to, to);
  }

  /** Event time from which on no request is left out, of all partitions; -Infinity where none ever was. */
  get wholeSince(): number {
    return Math.max(...[...this.ranges.values()].map(({ wholeSince }) => wholeSince ?? Number.NEGATIVE_INFINITY));
  }

  /**
   * This task's part of a cut.
   *
   * @param own partition whose rows have been folded up to the one in question and no further; null where they may have been.
   */
  folded(own: number | null): FoldedRequests {
    return Object.fromEntries(
      [...this.ranges].map(([partition, { from, to, gaps }]) => [
        partition,
        [from, partition === own ? null : to, ...gaps],
      ]),
    );
  }

  encode(): readonly StoredRange[] {
    return [...this.ranges].map(([partition, { from, to, gaps, wholeSince }]) => [
      partition,
      from,
      to,
      gaps,
      wholeSince,
    ]);
  }

  /** Snapshots of before gaps were told apart have none. */
  decode(stored: readonly StoredRange[]): void {
    for (const [partition, from, to, gaps = [], wholeSince = null] of stored)
      this.ranges.set(partition, { from, to, gaps: [...gaps], wholeSince });
  }
}
