import { hopTopic, type TopologyIdentity } from '../../../contracts/topics.js';
import type { Value } from '../../../features/types.js';
import type { CompiledStream } from '../../../features/compiledView.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import { encodeBlock, type BlockHeader, type BlockRow } from '../../blocks/block.js';
import type { Output } from '../../runtime/topology.js';
import type { Stage } from './scorePlan.js';

/** Rows on their way to the next stage, by its partitions; a transaction sends one block to each. */
export class HopWriter {
  private readonly rows: BlockRow[][];
  private announced = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly identity: TopologyIdentity,
    private readonly request: CompiledStream,
    private readonly next: Stage,
    private readonly partitions: number,
  ) {
    this.rows = Array.from({ length: partitions }, () => []);
  }

  add(row: BlockRow): void {
    const key = row.values[this.next.field] as Value;
    // A request without the entity has empty windows wherever it goes.
    const partition = key === null ? 0 : partitionOf(String(key), this.partitions);
    (this.rows[partition] as BlockRow[]).push(row);
  }

  /** Blocks of all partitions with rows; and of the others too where progress must be announced. */
  flush(header: BlockHeader, output: Output): void {
    const isProgress = header.progress !== null && header.progress > this.announced;
    for (let partition = 0; partition < this.partitions; partition++) {
      const rows = this.rows[partition] as BlockRow[];
      if (rows.length === 0 && !isProgress) continue;
      output.emit({
        topic: hopTopic(this.identity, this.next.name),
        partition,
        key: null,
        value: encodeBlock(this.request, { ...header, rows }),
      });
      this.rows[partition] = [];
    }
    if (isProgress) this.announced = header.progress;
  }
}
