import { hopTopic } from '../../../contracts/topics.js';
import type { EventId } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { CompiledStream } from '../../../features/compiledView.js';
import { compileAdoption, type AdoptLayout } from '../../blocks/adoptLayout.js';
import { decodeBlock, type Block } from '../../blocks/block.js';
import type { Output, ParsedRecord } from '../../runtime/topology.js';
import type { HopWriter } from './hopWriter.js';
import type { PredictionWriter } from './predictionWriter.js';
import type { Stage } from './scorePlan.js';
import { ScoreTask, type EventContent, type ScoreTaskOptions } from './scoreTask.js';

interface BlockContent {
  readonly kind: 'block';
  readonly block: Block;
}

/**
 * A later stage: rows come in blocks, and events of other streams feed the windows. A block is taken by its greatest
 * time, after every event up to it that is there, and is evaluated without folding anything in between: one cut is true
 * for all of its rows.
 */
export class HopTask extends ScoreTask {
  private readonly topic: string;
  private readonly request: CompiledStream;
  private readonly adopt: AdoptLayout;
  /** Stage that requests come from. */
  private readonly before: string;
  /**
   * Progress of each task of a stage before, by its partition. Another plan may have had another stage there: rows of both
   * come in, but only the present one's tasks, all of them, say what will not come any more.
   */
  private readonly upstream = new Map<string, number[]>();

  constructor(
    options: ScoreTaskOptions,
    private readonly next: HopWriter | PredictionWriter,
    private readonly isLast: boolean,
  ) {
    super(options, options.plan.stages[options.stage]?.streams ?? []);
    this.topic = hopTopic(options.identity, this.stage.name);
    const { request, layout, stages } = options.plan;
    this.request = request;
    this.before = (stages[options.stage - 1] as Stage).name;
    const ahead = new Set(stages.slice(options.stage).map(({ field }) => field));
    this.adopt = compileAdoption(layout, (input) => input.kind === 'view' && ahead.has(input.requestKey));
  }

  parse(record: LogRecord): ParsedRecord<BlockContent | EventContent> {
    if (record.topic === this.topic) {
      const block = this.adopt(decodeBlock(this.request, record.value));
      let time = Number.NEGATIVE_INFINITY;
      for (const { values } of block.rows) time = Math.max(time, values[this.request.eventTime] as number);
      return { record, time, content: { kind: 'block', block } };
    }
    const stream = this.streamOf(record.topic);
    if (stream === undefined) throw new Error(`invariant broken: ${record.topic} is no input of ${this.stage.name}`);
    const event = this.parseEvent(stream, record);
    return { record, time: event.time, content: { kind: 'event', stream, event } };
  }

  fold({ record, content }: ParsedRecord, output: Output, replay: boolean): void {
    const typed = content as BlockContent | EventContent;
    if (typed.kind === 'event') this.foldEvent(typed, record, output);
    else this.foldBlock(typed.block, record, output, replay);
  }

  private foldBlock(block: Block, record: LogRecord, output: Output, replay: boolean): void {
    if (block.progress !== null) {
      const known = this.progressOf(block.stage);
      known[block.upstream] = Math.max(known[block.upstream] as number, block.progress);
    }
    // A block without rows only announces progress, which a later stage must hear of, too.
    if (replay || (block.rows.length === 0 && this.isLast)) return;
    const { request } = this;
    const { absent } = block;
    const folded = { ...block.folded, ...this.foldedOffsets() };
    const cut = `${this.stage.name}-${record.partition}-${record.offset}`;
    if (this.isLast) (this.next as PredictionWriter).writeCut({ id: cut, folded }, output);
    for (const { offset, values, vector, replay: replayed } of block.rows) {
      const event = { time: values[request.eventTime] as number, id: values[request.eventId] as EventId, values };
      this.state.evaluate(event, vector);
      if (!this.isLast) {
        (this.next as HopWriter).add({ offset, values, vector, replay: replayed });
        continue;
      }
      const source = { topic: block.sourceTopic, partition: block.sourcePartition, offset };
      (this.next as PredictionWriter).add({ event, vector, source, cut, absent, replay: replayed });
    }
    if (!this.isLast) this.forward(block, folded, output);
  }

  /** Rows of one block go on as blocks of the same source partition. */
  private forward({ rows: _, ...header }: Block, folded: Block['folded'], output: Output): void {
    (this.next as HopWriter).flush(
      { ...header, stage: this.stage.name, upstream: this.options.partition, progress: this.watermark, folded },
      output,
    );
  }

  get pendingRows(): number {
    return this.isLast ? (this.next as PredictionWriter).pending : 0;
  }

  async drain(output: Output): Promise<void> {
    if (this.isLast) await (this.next as PredictionWriter).drain(output);
  }

  flush(_output: Output): void {
    // Blocks go on as they come: nothing waits here.
  }

  /** The least of what the upstream tasks, a fixed set, have announced. */
  protected get requestWatermark(): number {
    return Math.min(...this.progressOf(this.before));
  }

  private progressOf(stage: string): number[] {
    const known = this.upstream.get(stage);
    if (known !== undefined) return known;
    const unknown = new Array<number>(this.options.partitions).fill(Number.NEGATIVE_INFINITY);
    this.upstream.set(stage, unknown);
    return unknown;
  }

  protected encodeMeta(): unknown {
    return [...this.upstream].map(([stage, progress]) => [
      stage,
      progress.map((each) => (Number.isFinite(each) ? each : null)),
    ]);
  }

  protected decodeMeta(meta: unknown): void {
    for (const [stage, progress] of meta as (readonly [string, readonly (number | null)[]])[]) {
      const known = this.progressOf(stage);
      for (const [at, each] of progress.entries()) known[at] = each ?? Number.NEGATIVE_INFINITY;
    }
  }
}
