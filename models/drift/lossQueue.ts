import type { EventId } from '../../features/types.js';
import { compareIds } from '../../features/order.js';
import type { LossColumns } from './lossColumns.js';

/** Takes one loss of the series. */
export type TakeLoss = (at: number, version: number, loss: number) => void;

/** A block that is not used up. */
interface Chunk {
  /** Counts up from 0 for each partition. */
  readonly sequence: number;
  readonly columns: LossColumns;
}

/** Blocks of one partition, which are in the order of the requests, and how far they are used up. */
interface Lane {
  chunks: Chunk[];
  next: number;
  /** Row of the first chunk. */
  row: number;
}

/** Losses of all partitions, each in the order of its requests, as one series in that order. */
export class LossQueue {
  readonly lanes: readonly Lane[];

  constructor(partitions: number) {
    this.lanes = Array.from({ length: partitions }, () => ({ chunks: [], next: 0, row: 0 }));
  }

  /** @returns number of the block in its partition. */
  push(columns: LossColumns): number {
    const lane = this.lanes[columns.upstream] as Lane;
    const sequence = lane.next++;
    if (columns.at.length > 0) lane.chunks.push({ sequence, columns });
    return sequence;
  }

  /**
   * Hands out everything up to a time, in order of time and id.
   *
   * @param used told of each block that is used up.
   */
  drain(until: number, take: TakeLoss, used: (upstream: number, sequence: number) => void): void {
    for (;;) {
      let first: Lane | null = null;
      let upstream = -1;
      for (const [at, lane] of this.lanes.entries()) {
        if (lane.chunks.length === 0 || timeOf(lane) > until) continue;
        if (first !== null && !isBefore(lane, first)) continue;
        first = lane;
        upstream = at;
      }
      if (first === null) return;
      const [{ columns, sequence }] = first.chunks as [Chunk];
      const { row } = first;
      take(columns.at[row] as number, columns.versions[row] as number, columns.losses[row] as number);
      first.row++;
      if (first.row < columns.at.length) continue;
      first.chunks.shift();
      first.row = 0;
      used(upstream, sequence);
    }
  }
}

function timeOf({ chunks, row }: Lane): number {
  return (chunks[0] as Chunk).columns.at[row] as number;
}

function idOf({ chunks, row }: Lane): EventId {
  return (chunks[0] as Chunk).columns.ids[row] as EventId;
}

function isBefore(a: Lane, b: Lane): boolean {
  const difference = timeOf(a) - timeOf(b);
  return difference !== 0 ? difference < 0 : compareIds(idOf(a), idOf(b)) < 0;
}
