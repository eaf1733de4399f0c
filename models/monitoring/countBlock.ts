import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { EncodedOutcomeCounts, EncodedPredictionCounts } from '../../contracts/performanceReport.js';
import type { ScoreRole } from '../../contracts/records.js';
import type { ClosedBuckets } from './bucketTally.js';
import type { Cell, Mergeable } from './mergeable.js';

/** What is counted: predictions by the time of their requests, or outcomes as their labels become known. */
export type Counted = 'predictions' | 'outcomes';

/** Counts of one partition on their way to the merger. */
export interface CountBlock {
  /** 2 where `isIdle` is there; what another one says would be misread. */
  readonly format: 1 | 2;
  /** Length of a bucket, ms. */
  readonly bucketMs: number;
  /** Number of the partition. */
  readonly upstream: number;
  readonly of: Counted;
  /** See ClosedBuckets. */
  readonly from: number | null;
  /** Null where another block has the rest. */
  readonly to: number | null;
  readonly cells: readonly EncodedCell[];
  /**
   * Is the partition idle? Such a block closes nothing: its cells are what the partition holds so far of buckets that it has not
   * closed, and takes the place of what it said of them before. Left out of blocks that close buckets: nobody idle does.
   */
  readonly isIdle?: boolean;
}

export interface EncodedCell {
  readonly bucket: number;
  readonly version: number;
  readonly role: ScoreRole;
  readonly counts: EncodedPredictionCounts | EncodedOutcomeCounts;
}

/** Cells of a block: of a few kilobytes each, they stay far below the broker's limit of a record. */
const MAX_CELLS = 64;

/** Closed buckets as blocks, the last of which says that they are closed. */
export function countBlocks(
  about: Pick<CountBlock, 'bucketMs' | 'upstream' | 'of'>,
  { from, to, cells }: ClosedBuckets<Mergeable<unknown>>,
): CountBlock[] {
  const encoded = encodedCells(cells);
  const blocks: CountBlock[] = [];
  do {
    const part = encoded.splice(0, MAX_CELLS);
    blocks.push({ format: 1, ...about, from, to: encoded.length === 0 ? to : null, cells: part });
  } while (encoded.length > 0);
  return blocks;
}

/** What a partition says of itself when nothing comes any more, and when something does again; the last block says it. */
export function standingBlocks(
  about: Pick<CountBlock, 'bucketMs' | 'upstream' | 'of' | 'from'>,
  isIdle: boolean,
  ahead: readonly Cell<Mergeable<unknown>>[],
): CountBlock[] {
  const encoded = encodedCells(ahead);
  const blocks: CountBlock[] = [];
  do {
    const part = encoded.splice(0, MAX_CELLS);
    blocks.push({ format: 2, ...about, to: null, cells: part, isIdle: isIdle && encoded.length === 0 });
  } while (encoded.length > 0);
  return blocks;
}

function encodedCells(cells: readonly Cell<Mergeable<unknown>>[]): EncodedCell[] {
  return cells.map(({ counts, ...cell }) => ({ ...cell, counts: counts.encode() as EncodedCell['counts'] }));
}

/** @throws TidemillError BLOCK_INVALID */
export function parseCountBlock(value: Buffer | null, bucketMs: number): CountBlock {
  let block: Partial<CountBlock> | null;
  try {
    block = JSON.parse(value?.toString('utf8') ?? 'null') as Partial<CountBlock> | null;
  } catch (error) {
    throw invalid(messageOf(error));
  }
  if (block?.format !== 1 && (block?.format !== 2 || block.isIdle === undefined))
    throw invalid('it is of another format');
  if (block.bucketMs !== bucketMs) throw invalid(`its buckets are of ${block.bucketMs} ms, not of ${bucketMs}`);
  return block as CountBlock;
}

function invalid(problem: string): TidemillError {
  return new TidemillError('BLOCK_INVALID', `a block of counts cannot be read: ${problem}`, { problem });
}
