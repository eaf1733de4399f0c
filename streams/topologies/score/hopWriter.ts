import { hopTopic, type TopologyIdentity } from '../../../contracts/topics.js';
import type { Value } from '../../../features/types.js';
import type { CompiledStream } from '../../../features/compiledView.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import { encodeBlock, type BlockHeader, type BlockRow } from '../../blocks/block.js';
import type { Output } from '../../runtime/topology.js';
import type { Stage } from './scorePlan.js';

/** What the partitions of the next stage have last been told. */
type Announced = Pick<BlockHeader, 'watermark' | 'progress' | 'isIdle' | 'isLagging'>;

/** Rows on their way to a later stage, by its partitions; a transaction sends one block to each. */
export class HopWriter {
  private readonly rows: BlockRow[][];
  /** Source offsets gone through that a partition has not been told of, which had nothing for it. */
  private readonly untold: BlockHeader['sourceRange'][];
  private announced: Announced = { watermark: null, progress: null, isIdle: false, isLagging: true };

  /**
   * @param tellsAll does the stage go by more than the watermark? Every change of progress, lag and source range is then
   *   announced to partitions without rows, too.
   */
  constructor(
    private readonly identity: TopologyIdentity,
    private readonly request: CompiledStream,
    private readonly next: Stage,
    private readonly partitions: number,
    private readonly tellsAll: boolean,
  ) {
    this.rows = Array.from({ length: partitions }, () => []);
    this.untold = Array.from({ length: partitions }, () => null);
  }

  add(row: BlockRow): void {
    const key = row.values[this.next.field] as Value;
    // A request without the entity has empty windows wherever it goes.
    const partition = key === null ? 0 : partitionOf(String(key), this.partitions);
    (this.rows[partition] as BlockRow[]).push(row);
  }

  /** Blocks of all partitions with rows; and of the others too where something must be announced. */
  flush(header: BlockHeader, output: Output): void {
    const isNews = this.isNews(header);
    for (let partition = 0; partition < this.partitions; partition++) {
      const rows = this.rows[partition] as BlockRow[];
      const sourceRange = joined(this.untold[partition] ?? null, header.sourceRange);
      this.untold[partition] = sourceRange;
      if (rows.length === 0 && !isNews) continue;
      this.untold[partition] = null;
      output.emit({
        topic: hopTopic(this.identity, this.next.name),
        partition,
        key: null,
        value: encodeBlock(this.request, { ...header, sourceRange, rows }),
      });
      this.rows[partition] = [];
    }
    if (isNews) this.announced = header;
  }

  private isNews({ watermark, progress, isIdle, isLagging, sourceRange }: BlockHeader): boolean {
    const { announced } = this;
    if (isIdle !== announced.isIdle || exceeds(watermark, announced.watermark)) return true;
    if (!this.tellsAll) return false;
    return sourceRange !== null || isLagging !== announced.isLagging || exceeds(progress, announced.progress);
  }
}

function joined(before: BlockHeader['sourceRange'], range: BlockHeader['sourceRange']): BlockHeader['sourceRange'] {
  if (before === null || range === null) return before ?? range;
  return [before[0], range[1]];
}

function exceeds(time: number | null, before: number | null): boolean {
  return time !== null && (before === null || time > before);
}
