import { TidemillError } from '../../../contracts/errors.js';
import { hashOf } from '../../../features/hash.js';
import type { EventId, Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { decodeBlock, type Block } from '../../blocks/block.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import { createWindowState } from '../../windows/createWindowState.js';
import type { WindowState } from '../../windows/windowState.js';
import { ResultWriter } from './resultWriter.js';
import { decodeMeta, encodeMeta, finiteOrNull, META_KEY, windowEntries } from './taskState.js';
import type { WindowPlan } from './windowPlan.js';

/**
 * Second half of windows whose key is not the topic's. Its watermark is the least that the upstream tasks, a fixed set, have
 * announced:
 *
 *   split-0   10:07
 *   split-1   10:03   -> watermark 10:03
 *   split-2   10:09
 */
export class CollectTask implements StreamTask {
  readonly stateIdentity: string;
  readonly pendingRows = 0;
  private readonly state: WindowState;
  private readonly writer: ResultWriter;
  private readonly upstream: number[];

  constructor(private readonly plan: WindowPlan) {
    const { project, windows, partitions, carried } = plan;
    this.stateIdentity = hashOf(['windows.collect/1', windows.hash, partitions]);
    this.state = createWindowState({ windows, fields: carried.fields });
    this.writer = new ResultWriter(project, windows, this.state.plan, partitions);
    this.upstream = new Array<number>(partitions).fill(Number.NEGATIVE_INFINITY);
  }

  get watermark(): number | null {
    return finiteOrNull(this.state.watermark);
  }

  parse(record: LogRecord): ParsedRecord<Block> {
    const { carried, windows } = this.plan;
    const block = decodeBlock(carried, record.value);
    if (block.layout !== windows.hash) {
      throw new TidemillError('BLOCK_INVALID', `its rows are of another declaration of ${windows.name}`, {
        windows: windows.name,
      });
    }
    let time = Number.NEGATIVE_INFINITY;
    for (const { values } of block.rows) time = Math.max(time, values[carried.eventTime] as number);
    return { record, time, content: block };
  }

  fold({ content }: ParsedRecord, output: Output, replay: boolean): void {
    const { rows, upstream, progress } = content as Block;
    const sink = replay ? null : this.writer.to(output);
    const { carried, carriedKey } = this.plan;
    for (const { values } of rows) {
      const time = values[carried.eventTime] as number;
      this.state.fold(values[carriedKey] as Value, time, values[carried.eventId] as EventId, values, sink);
    }
    if (progress === null) return;
    this.upstream[upstream] = Math.max(this.upstream[upstream] as number, progress);
    this.state.advance(Math.min(...this.upstream), sink);
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  flush(output: Output): void {
    this.state.flush(this.writer.to(output));
  }

  committed(): void {
    // Windows are forgotten as the watermark passes: that is part of the fold.
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    yield* windowEntries(this.state);
    const meta = {
      source: null,
      upstream: this.upstream.map(finiteOrNull),
      watermark: finiteOrNull(this.state.watermark),
    };
    yield { key: Buffer.from(META_KEY), value: encodeMeta(meta) };
  }

  restore(key: Uint8Array, value: Uint8Array): void {
    const text = Buffer.from(key).toString('utf8');
    if (text !== META_KEY) {
      this.state.restore(text, value);
      return;
    }
    const { upstream, watermark } = decodeMeta(value);
    for (const [at, progress] of (upstream ?? []).entries()) this.upstream[at] = progress ?? Number.NEGATIVE_INFINITY;
    this.state.watermark = watermark ?? Number.NEGATIVE_INFINITY;
  }
}
