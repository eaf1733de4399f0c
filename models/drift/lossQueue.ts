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
      const upstream = this.earliest(until);
      if (upstream === -1) return;
      const lane = this.lanes[upstream] as Lane;
      const { columns, sequence } = lane.chunks[0] as Chunk;
      const row = lane.row++;
      take(columns.at[row] as number, columns.versions[row] as number, columns.losses[row] as number);
      if (lane.row < columns.at.length) continue;
      lane.chunks.shift();
      lane.row = 0;
      used(upstream, sequence);
    }
  }

  /** Partition whose next loss is the first of all, up to a time; -1 where there is none. Hot: called for every row. */
  private earliest(until: number): number {
    let first = -1;
    let time = until;
    for (let at = 0; at < this.lanes.length; at++) {
      const lane = this.lanes[at] as Lane;
      if (lane.chunks.length === 0) continue;
      const own = timeOf(lane);
      if (own > time) continue;
      if (first !== -1 && own === time && compareIds(idOf(this.lanes[first] as Lane), idOf(lane)) <= 0) continue;
      first = at;
      time = own;
    }
    return first;
  }
}

function timeOf({ chunks, row }: Lane): number {
  return (chunks[0] as Chunk).columns.at[row] as number;
}

function idOf({ chunks, row }: Lane): EventId {
  return (chunks[0] as Chunk).columns.ids[row] as EventId;
}
