import type { FoldedRequests } from '../../contracts/records.js';
import type { Block } from './block.js';

/**
 * Which source offsets a task has folded of each source partition, from the blocks that it has read. Upstream tasks write in
 * the order of their source, and say how far they have come even to a partition for which they have no rows:
 *
 *   block of customer-1   rows 17, 21   range [15, 24)
 *   block of customer-1   no rows       range [24, 30)   -> [15, 30)
 */
export class SourceRanges {
  private readonly ranges = new Map<number, { from: number; to: number }>();

  observe({ sourcePartition, sourceRange, rows }: Pick<Block, 'sourcePartition' | 'sourceRange' | 'rows'>): void {
    const first = rows[0]?.offset;
    // A block of before ranges were written covers its rows, at least.
    const range = sourceRange ?? (first === undefined ? null : ([first, (rows.at(-1)?.offset ?? first) + 1] as const));
    if (range === null) return;
    const [from, to] = range;
    const known = this.ranges.get(sourcePartition);
    if (known === undefined) this.ranges.set(sourcePartition, { from, to });
    else {
      known.from = Math.min(known.from, from);
      known.to = Math.max(known.to, to);
    }
  }

  /**
   * This task's part of a cut.
   *
   * @param own partition whose rows have been folded up to the one in question and no further; null where they may have been.
   */
  folded(own: number | null): FoldedRequests {
    return Object.fromEntries(
      [...this.ranges].map(([partition, { from, to }]) => [partition, [from, partition === own ? null : to]]),
    );
  }

  encode(): readonly (readonly [partition: number, from: number, to: number])[] {
    return [...this.ranges].map(([partition, { from, to }]) => [partition, from, to]);
  }

  decode(stored: ReturnType<SourceRanges['encode']>): void {
    for (const [partition, from, to] of stored) this.ranges.set(partition, { from, to });
  }
}
