import type { Block, BlockRow } from '../../blocks/block.js';

/** Rows of one block that wait. */
export interface WaitingBlock {
  /** The block without the rows that have gone. */
  readonly block: Block;
  /** Its place in the hop topic. */
  readonly offset: number;
  readonly rows: readonly BlockRow[];
}

interface HeldBlock extends WaitingBlock {
  rows: BlockRow[];
  /** Least time among its rows. */
  least: number;
  /** The record as it came: what a snapshot keeps. */
  readonly bytes: Uint8Array;
  /** Wall time since when it is known to wait; null until somebody looked at the clock. */
  since: number | null;
}

/**
 * Rows that are in the windows and wait to be answered, by the block that they came in. Which of them wait is known from
 * the time up to which rows have been answered, so a snapshot holds the blocks as they came.
 *
 *   answered through 10:05    block at 17   10:04 gone   10:06   10:09
 *                             block at 18   10:07
 */
export class WaitingRows {
  private readonly blocks = new Map<number, HeldBlock>();
  private readonly stored = new Set<number>();
  private added = new Set<number>();
  private removed = new Set<number>();
  private leastTime = Number.POSITIVE_INFINITY;
  count = 0;

  constructor(private readonly timeOf: (row: BlockRow) => number) {}

  /** Least time of a row that waits; Infinity where none does. */
  get least(): number {
    return this.leastTime;
  }

  add(offset: number, block: Block, rows: readonly BlockRow[], bytes: Uint8Array): void {
    if (rows.length === 0) return;
    const least = this.leastOf(rows);
    this.blocks.set(offset, { block, offset, rows: [...rows], least, bytes, since: null });
    this.added.add(offset);
    this.count += rows.length;
    this.leastTime = Math.min(this.leastTime, least);
  }

  /** Takes the rows up to a time: those of each source partition in the order of their offsets. */
  take(through: number): WaitingBlock[] {
    if (this.leastTime > through) return [];
    const taken: WaitingBlock[] = [];
    this.leastTime = Number.POSITIVE_INFINITY;
    for (const held of this.blocks.values()) {
      if (held.least <= through) {
        const rows = held.rows.filter((row) => this.timeOf(row) <= through);
        taken.push({ block: held.block, offset: held.offset, rows });
        this.count -= rows.length;
        held.rows = held.rows.filter((row) => this.timeOf(row) > through);
        held.least = this.leastOf(held.rows);
        if (held.rows.length === 0) this.forget(held.offset);
      }
      this.leastTime = Math.min(this.leastTime, held.least);
    }
    const firstOf = ({ rows }: WaitingBlock): number => (rows[0] as BlockRow).offset;
    return taken.sort((a, b) => a.block.sourcePartition - b.block.sourcePartition || firstOf(a) - firstOf(b));
  }

  private forget(offset: number): void {
    this.blocks.delete(offset);
    this.added.delete(offset);
    if (this.stored.delete(offset)) this.removed.add(offset);
  }

  private leastOf(rows: readonly BlockRow[]): number {
    let least = Number.POSITIVE_INFINITY;
    for (const row of rows) least = Math.min(least, this.timeOf(row));
    return least;
  }

  /**
   * What has waited for so long.
   *
   * @returns the greatest time among rows that have, -Infinity for none; and how long until the next has, Infinity for none.
   */
  waited(now: number, maxWaitMs: number): { readonly through: number; readonly nextInMs: number } {
    let through = Number.NEGATIVE_INFINITY;
    let nextInMs = Number.POSITIVE_INFINITY;
    for (const held of this.blocks.values()) {
      held.since ??= now;
      const left = maxWaitMs - (now - held.since);
      if (left > 0) nextInMs = Math.min(nextInMs, left);
      else for (const row of held.rows) through = Math.max(through, this.timeOf(row));
    }
    return { through, nextInMs };
  }

  *snapshot(): Iterable<{ readonly offset: number; readonly value: Uint8Array | null }> {
    const { added, removed } = this;
    this.added = new Set();
    this.removed = new Set();
    for (const offset of removed) yield { offset, value: null };
    for (const offset of added) {
      this.stored.add(offset);
      yield { offset, value: (this.blocks.get(offset) as HeldBlock).bytes };
    }
  }

  /** A block of a snapshot: any of its rows may wait. */
  restore(offset: number, block: Block, rows: readonly BlockRow[], bytes: Uint8Array): void {
    this.add(offset, block, rows, bytes);
    this.added.delete(offset);
    this.stored.add(offset);
  }
}
