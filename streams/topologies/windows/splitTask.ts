import { streamTopic } from '../../../contracts/topics.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { hashOf } from '../../../features/hash.js';
import type { Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import { encodeBlock, type BlockRow } from '../../blocks/block.js';
import { Idleness, IdlenessTimers } from '../../runtime/idleness.js';
import { mayHaveMore, type InputPace, type TaskTimers } from '../../runtime/taskTimers.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import { Intake } from './intake.js';
import { decodeMeta, encodeMeta, META_KEY } from './taskState.js';
import type { WindowPlan } from './windowPlan.js';

/** A block of so many rows goes at once: far below the broker's limit of a record. */
const MAX_BLOCK_ROWS = 4_096;
const NO_VECTOR = new Float64Array(0);

/**
 * First half of windows whose key is not the topic's: sends events on by the windows' key, in blocks that announce how far
 * this source partition has come, and, once nothing comes any more, that it is idle: windows do not wait for it.
 */
export class SplitTask implements StreamTask {
  readonly stateIdentity: string;
  readonly pendingRows = 0;
  private readonly intake: Intake;
  private readonly rows: BlockRow[][];
  private announced = Number.NEGATIVE_INFINITY;
  private announcedIdle = false;
  private readonly topic: string;
  private readonly idleness: Idleness;
  private isLagging = true;
  readonly timers: TaskTimers;

  constructor(
    private readonly plan: WindowPlan,
    private readonly hop: string,
    private readonly partition: number,
  ) {
    this.stateIdentity = hashOf(['windows.split/1', plan.windows.hash]);
    this.intake = new Intake(plan);
    this.topic = streamTopic(plan.project, plan.windows.stream.name);
    this.idleness = new Idleness(this.topic);
    this.timers = new IdlenessTimers(this.idleness);
    this.rows = Array.from({ length: plan.partitions }, () => []);
  }

  get watermark(): number | null {
    return finiteOrNull(this.intake.watermark);
  }

  parse(record: LogRecord): ParsedRecord {
    return this.intake.parse(record);
  }

  fold(parsed: ParsedRecord, output: Output, replay: boolean): void {
    if (!replay) this.idleness.stir();
    if (!this.intake.admit(parsed, output) || replay) return;
    const { values } = this.intake;
    const { carriedFields, windows, partitions } = this.plan;
    const carried = new Array<Value>(carriedFields.length);
    for (let at = 0; at < carried.length; at++) carried[at] = values[carriedFields[at] as number] as Value;
    const partition = partitionOf(String(values[windows.key]), partitions);
    const rows = this.rows[partition] as BlockRow[];
    rows.push({ offset: parsed.record.offset, values: carried, vector: NO_VECTOR, replay: null });
    if (rows.length >= MAX_BLOCK_ROWS) this.emit(partition, output);
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  /** Blocks of all partitions with rows; and of the others, too, where progress must be announced. */
  flush(output: Output, _offsets: ReadonlyMap<string, number>, inputs: readonly InputPace[]): void {
    const { isIdle } = this.idleness;
    this.isLagging = inputs.some(mayHaveMore);
    const isNews = this.intake.watermark > this.announced || isIdle !== this.announcedIdle;
    for (const [partition, rows] of this.rows.entries()) if (rows.length > 0 || isNews) this.emit(partition, output);
    this.announced = this.intake.watermark;
    this.announcedIdle = isIdle;
  }

  /** The watermark holds for what follows, too: no later row is before it but late ones, which know it. */
  private emit(partition: number, output: Output): void {
    const { windows, partitions, carried } = this.plan;
    const { isIdle } = this.idleness;
    const value = encodeBlock(carried, {
      stage: 'split',
      upstream: this.partition,
      upstreams: partitions,
      watermark: this.watermark,
      progress: finiteOrNull(this.intake.progress.greatest - (isIdle ? 0 : 1)),
      isIdle,
      isLagging: this.isLagging,
      isFeed: false,
      sourceTopic: this.topic,
      sourcePartition: this.partition,
      sourceRange: null,
      layout: windows.hash,
      inputs: [],
      absent: null,
      folded: {},
      requests: {},
      rows: this.rows[partition] as BlockRow[],
    });
    output.emit({ topic: this.hop, partition, key: null, value });
    this.rows[partition] = [];
  }

  committed(): void {
    this.forget();
  }

  forget(): void {
    this.intake.forget();
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    for (const { key, value } of this.intake.snapshot()) yield { key: Buffer.from(key, 'utf8'), value };
    const meta = { source: this.intake.progress.encode(), upstream: null, watermark: null };
    yield { key: Buffer.from(META_KEY), value: encodeMeta(meta) };
  }

  restore(key: Uint8Array, value: Uint8Array): void {
    const text = Buffer.from(key).toString('utf8');
    if (text !== META_KEY) {
      this.intake.restore(text, value);
      return;
    }
    const { source } = decodeMeta(value);
    if (source !== null) this.intake.progress.decode(source);
  }
}
