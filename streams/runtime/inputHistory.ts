import { TidemillError } from '../../contracts/errors.js';
import type { TopicPartition } from '../../stores/log/log.js';
import type { TaskContext } from './taskContext.js';
import { partitionName } from './taskInputs.js';
import type { NeededHistory } from './topology.js';

/** First retained offset and end of a partition of the log. */
export interface LogRange {
  readonly low: number;
  readonly high: number;
}

/**
 * Where the input of a task can be read from: the log, and before it, without a gap, the archive. The archive is asked only
 * where something before the log is wanted.
 *
 *   archive  0 ───────── 80     gap      100 ──────────── 160
 *   log                                            140 ──────────── 190
 *   start                                100
 */
export class InputHistory {
  private readonly starts = new Map<string, number>();

  constructor(
    private readonly context: TaskContext,
    private readonly ranges: ReadonlyMap<string, LogRange>,
  ) {}

  rangeOf(place: TopicPartition): LogRange {
    return this.ranges.get(partitionName(place)) ?? { low: 0, high: 0 };
  }

  /** The first offset from which a partition can be read to its end. */
  async start(place: TopicPartition): Promise<number> {
    const name = partitionName(place);
    const known = this.starts.get(name);
    if (known !== undefined) return known;
    const { low } = this.rangeOf(place);
    const { archive } = this.context.options;
    const start = low === 0 || archive === undefined ? low : (await archive.reach(place, low)).from;
    this.starts.set(name, start);
    return start;
  }

  /** Where state begins that knows nothing yet; a gap behind which it begins is told. */
  async beginning(place: TopicPartition): Promise<number> {
    const { low } = this.rangeOf(place);
    const { archive, onEvent } = this.context.options;
    if (low === 0 || archive === undefined) return low;
    const { from, lost } = await archive.reach(place, low);
    this.starts.set(partitionName(place), from);
    if (lost !== null) onEvent?.({ kind: 'historyLost', task: this.context.id, name: partitionName(place), ...lost });
    return from;
  }

  /**
   * What is read from `offset` on must be there.
   *
   * @throws TidemillError OFFSET_LOST
   */
  async require(place: TopicPartition, offset: number): Promise<void> {
    const { low } = this.rangeOf(place);
    if (offset >= low) return;
    const start = await this.start(place);
    if (offset >= start) return;
    const name = partitionName(place);
    throw new TidemillError(
      'OFFSET_LOST',
      start < low
        ? `${name}: offset ${offset} is needed; offsets up to ${start - 1} are neither in the log nor in the archive`
        : `${name}: offset ${offset} is needed, the log starts at ${low}`,
      { name, offset, low: start },
    );
  }

  /**
   * What a part is built from must be there from the log's first offset, but for what counts for nothing.
   *
   * @throws TidemillError OFFSET_LOST
   */
  async requireParts(place: TopicPartition, { parts, appendedSince }: NeededHistory): Promise<void> {
    const start = await this.start(place);
    if (start === 0) return;
    // Log time never goes back: everything before the first record that is left is as old as it, or older.
    const first = await this.firstAppended(place, start);
    if (first !== null && first < appendedSince) return;
    const name = partitionName(place);
    throw new TidemillError(
      'OFFSET_LOST',
      `${this.context.id}: ${parts.map((part) => part.name).join(', ')} cannot be built: offsets 0 to ${start - 1} of ${name} are lost`,
      { task: this.context.id, name, offset: 0, low: start, parts: parts.map(({ identity }) => identity) },
    );
  }

  /** Append time of the first record from an offset on; null where there is none. */
  private async firstAppended(place: TopicPartition, start: number): Promise<number | null> {
    const { low, high } = this.rangeOf(place);
    const { archive, log } = this.context.options;
    if (start < low && archive !== undefined)
      for await (const [first] of archive.read(place, { from: start, to: low }))
        if (first !== undefined) return first.timestamp;
    for await (const [first] of log.read({ ...place, from: low, to: high }))
      if (first !== undefined) return first.timestamp;
    return null;
  }
}
