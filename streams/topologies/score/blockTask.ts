import { hopTopic, streamTopic } from '../../../contracts/topics.js';
import type { CutRecord } from '../../../contracts/records.js';
import type { CompiledStream } from '../../../features/compiledView.js';
import type { EventId, StreamEvent } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { compileAdoption, type AdoptLayout } from '../../blocks/adoptLayout.js';
import { decodeBlock, type Block, type BlockRow } from '../../blocks/block.js';
import { SourceRanges } from '../../blocks/sourceRanges.js';
import { Upstreams } from '../../blocks/upstreams.js';
import type { ParsedRecord } from '../../runtime/topology.js';
import type { Stage } from './scorePlan.js';
import { ScoreTask, type EventContent, type ScoreTaskOptions } from './scoreTask.js';

export interface BlockContent {
  readonly kind: 'block';
  readonly block: Block;
}

/**
 * A stage whose rows come in blocks: they and events of other streams feed its windows. A block is taken by its greatest time,
 * after every event up to it that is there.
 */
export abstract class BlockTask extends ScoreTask {
  /** Of the blocks. */
  protected readonly topic: string;
  protected readonly request: CompiledStream;
  private readonly adopt: AdoptLayout;
  /** Stage that rows to be answered come from, and the first one, which all rows come from. */
  protected readonly before: string;
  protected readonly first: string;
  /**
   * Of each stage before. Another plan may have had another one there: rows of both come in, but only the present one's
   * tasks, all of them, say what will not come any more.
   */
  protected readonly upstreams = new Map<string, Upstreams>();
  protected readonly ranges = new SourceRanges();

  constructor(options: ScoreTaskOptions) {
    super(options, options.plan.stages[options.stage]?.streams ?? []);
    this.topic = hopTopic(options.identity, this.stage.name);
    const { request, layout, stages } = options.plan;
    this.request = request;
    this.before = (stages[options.stage - 1] as Stage).name;
    this.first = (stages[0] as Stage).name;
    const ahead = new Set(stages.slice(options.stage).map(({ field }) => field));
    this.adopt = compileAdoption(layout, (input) => input.kind === 'view' && ahead.has(input.requestKey));
    for (const stage of new Set([this.first, this.before]))
      this.upstreams.set(stage, new Upstreams(options.partitions));
  }

  parse(record: LogRecord): ParsedRecord<BlockContent | EventContent> {
    if (record.topic === this.topic) {
      const block = this.blockOf(record.value);
      let time = Number.NEGATIVE_INFINITY;
      for (const row of block.rows) time = Math.max(time, this.timeOf(row));
      return { record, time, content: { kind: 'block', block } };
    }
    const stream = this.streamOf(record.topic);
    if (stream === undefined) throw new Error(`invariant broken: ${record.topic} is no input of ${this.stage.name}`);
    const event = this.parseEvent(stream, record);
    return { record, time: event.time, content: { kind: 'event', stream, event } };
  }

  protected blockOf(bytes: Buffer | null): Block {
    const block = decodeBlock(this.request, bytes);
    return block.isFeed ? block : this.adopt(block);
  }

  protected insert({ sourcePartition }: Block, row: BlockRow): void {
    if (isLateReplay(row)) return;
    this.state.insert(this.request, this.eventAt(row), sourcePartition, row.offset);
  }

  /** @param own partition whose rows have been folded up to the one in question and no further; null where they may have been. */
  protected cutOf(block: Block, name: string, own: number | null): CutRecord {
    const requests = this.stage.hasOwn
      ? { ...block.requests, [this.stage.name]: this.ranges.folded(own) }
      : block.requests;
    return {
      id: `${this.stage.name}-${this.options.partition}-${name}`,
      folded: { ...block.folded, ...this.foldedOffsets() },
      ...(Object.keys(requests).length === 0 ? {} : { requests }),
    };
  }

  /** Whoever feeds the windows over the requests, or else whoever sends the rows to be answered. */
  protected get waitedFor(): Upstreams {
    return this.upstreamsOf(this.stage.hasOwn ? this.first : this.before);
  }

  protected upstreamsOf(stage: string): Upstreams {
    const known = this.upstreams.get(stage);
    if (known !== undefined) return known;
    const unknown = new Upstreams(this.options.partitions);
    this.upstreams.set(stage, unknown);
    return unknown;
  }

  protected timeOf({ values }: BlockRow): number {
    return values[this.request.eventTime] as number;
  }

  protected eventAt(row: BlockRow): StreamEvent {
    const { values } = row;
    return { time: this.timeOf(row), id: values[this.request.eventId] as EventId, values };
  }

  protected override historyOf(stream: CompiledStream): string {
    return stream.name === this.request.name ? this.topic : streamTopic(this.project, stream.name);
  }

  override foldBefore(parsed: ParsedRecord): void {
    const typed = parsed.content as BlockContent | EventContent;
    if (typed.kind === 'event') {
      super.foldBefore(parsed);
      return;
    }
    const { block } = typed;
    if (block.stage !== this.first || !this.stage.hasOwn) return;
    this.ranges.observe(block, block.progress);
    for (const row of block.rows)
      if (!isLateReplay(row)) this.lacking?.insert(this.request, this.eventAt(row), block.sourcePartition, row.offset);
  }
}

/** A dead letter's row that came again too late for its windows: it is answered, and nothing else sees it. */
export function isLateReplay({ replay }: BlockRow): boolean {
  return replay?.late === true;
}
