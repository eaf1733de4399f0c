import { TidemillError } from '../../../contracts/errors.js';
import { formatEvent } from '../../../features/eventContract.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { hashOf } from '../../../features/hash.js';
import type { EventId, Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { decodeBlock, type Block, type BlockRow } from '../../blocks/block.js';
import { Upstreams } from '../../blocks/upstreams.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import { createWindowState } from '../../windows/createWindowState.js';
import type { WindowState } from '../../windows/windowState.js';
import { emitLate } from '../score/setAside.js';
import { ResultWriter } from './resultWriter.js';
import { decodeMeta, encodeMeta, META_KEY, windowEntries } from './taskState.js';
import type { WindowPlan } from './windowPlan.js';

/**
 * Second half of windows whose key is not the topic's. Its watermark is the least that the upstream tasks, a fixed set, have
 * announced, those that are idle left out:
 *
 *   split-0   10:07
 *   split-1   10:03   -> watermark 10:03
 *   split-2   10:09
 *   split-3   09:12   idle
 *
 * Whoever was idle may come back with events that windows have not waited for. They are late here, by the rule by which they
 * are late where they come in, and are set aside as well.
 */
export class CollectTask implements StreamTask {
  readonly stateIdentity: string;
  readonly pendingRows = 0;
  private readonly state: WindowState;
  private readonly writer: ResultWriter;
  private readonly upstreams: Upstreams;

  constructor(private readonly plan: WindowPlan) {
    const { project, windows, partitions, carried } = plan;
    this.stateIdentity = hashOf(['windows.collect/1', windows.hash, partitions]);
    this.state = createWindowState({ windows, fields: carried.fields });
    this.writer = new ResultWriter(project, windows, this.state.plan, partitions);
    this.upstreams = new Upstreams(partitions);
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
    const block = content as Block;
    const sink = replay ? null : this.writer.to(output);
    const { carried, carriedKey, windows } = this.plan;
    for (const row of block.rows) {
      const { values } = row;
      const time = values[carried.eventTime] as number;
      if (time < this.state.watermark - windows.reviseMs) {
        if (!replay) this.setAside(block, row, output);
        continue;
      }
      this.state.fold(values[carriedKey] as Value, time, values[carried.eventId] as EventId, values, sink);
    }
    this.upstreams.observe(block);
    this.state.advance(this.upstreams.activeWatermark, sink);
  }

  /** What is carried stands for the original text, which has not come so far. */
  private setAside({ sourceTopic, sourcePartition }: Block, { offset, values }: BlockRow, output: Output): void {
    const { project, carried, setsAside } = this.plan;
    if (!setsAside) return;
    const id = values[carried.eventId] as EventId;
    const event = { id, time: values[carried.eventTime] as number, values };
    const record: LogRecord = {
      topic: sourceTopic,
      partition: sourcePartition,
      offset,
      timestamp: event.time,
      key: Buffer.from(String(values[this.plan.carriedKey])),
      value: Buffer.from(formatEvent(carried, event)),
      headers: {},
    };
    emitLate(project, record, event, this.state.watermark, output);
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
      upstream: this.upstreams.encode(),
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
    this.upstreams.decode(upstream ?? []);
    this.state.watermark = watermark ?? Number.NEGATIVE_INFINITY;
  }
}
