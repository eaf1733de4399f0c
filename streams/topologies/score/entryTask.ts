import type { ReplayMark } from '../../../contracts/deadLetters.js';
import type { ReplayedRequest } from '../../../contracts/records.js';
import { streamTopic } from '../../../contracts/topics.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { createRequestOperator, type RequestOperator } from '../../../features/requestOperator.js';
import type { StreamEvent, Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { blockInputs } from '../../blocks/adoptLayout.js';
import type { BlockHeader } from '../../blocks/block.js';
import { Idleness, IdlenessTimers } from '../../runtime/idleness.js';
import { partitionName } from '../../runtime/taskInputs.js';
import { mayHaveMore, type InputPace, type TaskTimers } from '../../runtime/taskTimers.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import type { HopWriter } from './hopWriter.js';
import type { PredictionWriter } from './predictionWriter.js';
import { replayOf, ScoreTask, type EventContent, type ScoreTaskOptions } from './scoreTask.js';
import { SeenRequests } from './seenRequests.js';
import { emitDuplicate, emitLate } from './setAside.js';

/** The cut of a stage that nothing but requests feeds. */
const NOTHING_ELSE = '{}';
/** Copies of rows feed windows, which need the fields alone. */
const NO_VECTOR = new Float64Array(0);

interface RequestContent {
  readonly kind: 'request';
  readonly event: StreamEvent;
}

/**
 * Where requests come in. Each ends here as a late record, a duplicate or a dead letter, or goes on as a row with the
 * columns of its own fields and of the entity that the topic is keyed by.
 *
 *   parse (contract, maxFuture) -> late? -> duplicate? -> fold into own windows -> columns -> next stage or score
 *
 * A dead letter's replay is a duplicate where the same dead letter was replayed before, and is answered even where it is
 * late: an operator asked for it.
 *
 * What goes on says how far this source partition has come, and, once nothing comes any more, that it is idle.
 */
export class EntryTask extends ScoreTask {
  private readonly requestTopic: string;
  private readonly requestParts: readonly { readonly start: number; readonly run: RequestOperator }[];
  private readonly seen = new SeenRequests();
  private readonly width: number;
  private readonly blockInputs: BlockHeader['inputs'];
  /** What the rows waiting in the hop writer had seen of the stage's other streams. */
  private waitingCut: string | null = null;
  private cutNumber: string | null = null;
  private readonly idleness: Idleness;
  readonly timers: TaskTimers | undefined;
  private isLagging = true;
  /** Greatest event time and offsets [from, to) of the requests that have gone through; null where none has since a flush. */
  private written = Number.NEGATIVE_INFINITY;
  private range: [from: number, to: number] | null = null;
  /** Everything before it has been gone through and told of; null before the task is at its committed offsets. */
  private told: number | null = null;
  private readonly source: string;

  constructor(
    options: ScoreTaskOptions,
    private readonly next: HopWriter | PredictionWriter,
    private readonly isLast: boolean,
    /** To the stages after the next that have views over the requests: copies of all rows. */
    private readonly feeds: readonly HopWriter[] = [],
  ) {
    const { request, layout } = options.plan;
    super(options, [request, ...(options.plan.stages[0]?.streams ?? [])]);
    this.requestTopic = streamTopic(options.identity.project, request.name);
    this.source = partitionName({ topic: this.requestTopic, partition: options.partition });
    this.idleness = new Idleness(this.requestTopic);
    // A task whose rows go nowhere has nobody to tell that it is idle.
    this.timers = isLast ? undefined : new IdlenessTimers(this.idleness);
    this.width = layout.width;
    this.blockInputs = blockInputs(layout);
    this.requestParts = layout.inputs.flatMap(({ input, start }) =>
      input.kind === 'request' ? [{ start, run: createRequestOperator(input.view) }] : [],
    );
  }

  private get request() {
    return this.options.plan.request;
  }

  parse(record: LogRecord): ParsedRecord<RequestContent | EventContent> {
    if (record.topic === this.requestTopic) {
      const event = this.parseEvent(this.request, record);
      return { record, time: event.time, content: { kind: 'request', event } };
    }
    const stream = this.streamOf(record.topic);
    if (stream === undefined) throw new Error(`invariant broken: ${record.topic} is no input of ${this.stage.name}`);
    const event = this.parseEvent(stream, record);
    return { record, time: event.time, content: { kind: 'event', stream, event } };
  }

  fold({ record, content }: ParsedRecord, output: Output, replay: boolean): void {
    const typed = content as RequestContent | EventContent;
    if (typed.kind === 'event') {
      this.foldEvent(typed, record, output);
      return;
    }
    this.foldRequest(typed.event, record, output, replay);
    const progress = this.state.progressOf(this.request);
    this.written = progress.greatest;
    if (replay) return;
    this.idleness.stir();
    this.range = [this.range?.[0] ?? this.told ?? record.offset, record.offset + 1];
  }

  private foldRequest(event: StreamEvent, record: LogRecord, output: Output, replay: boolean): void {
    const progress = this.state.progressOf(this.request);
    progress.folded = record.offset + 1;
    const mark = replayOf(record);
    const taken = mark === null ? null : this.replays.firstOf(mark, record.offset);
    if (taken !== null) {
      emitDuplicate(this.project, record, event, taken, output);
      return;
    }
    const isLate = progress.isLate(event.time);
    if (isLate && mark === null) {
      emitLate(this.project, record, event, progress.watermark, output);
      return;
    }
    if (isLate) {
      // Windows hold what was in time, and seen requests are forgotten by then: such a replay is answered and changes nothing.
      if (!replay) this.answer(event, record, replayedRequest(mark, true), output);
    } else {
      progress.observe(event.time);
      const first = this.seen.meet(event.values[this.request.topicKey] as Value, event.time, event.id, record.offset);
      if (first !== null) emitDuplicate(this.project, record, event, first, output);
      else {
        this.state.insert(this.request, event, record.partition, record.offset);
        if (!replay) this.answer(event, record, replayedRequest(mark, false), output);
      }
    }
    // Last: a replay whose fold fails is a dead letter again, which can be replayed.
    if (mark !== null) this.replays.take(mark, record.offset);
  }

  private answer(event: StreamEvent, record: LogRecord, replay: ReplayedRequest | null, output: Output): void {
    const vector = new Float64Array(this.width).fill(Number.NaN);
    for (const { start, run } of this.requestParts) run(event.values, vector, start);
    this.state.evaluate(event, vector);
    if (!this.isLast) {
      // Rows of one block share one cut: another one starts another block.
      const folded = this.stage.streams.length === 0 ? NOTHING_ELSE : JSON.stringify(this.foldedOffsets());
      if (this.waitingCut !== null && this.waitingCut !== folded) this.flushRows(output);
      this.waitingCut = folded;
      (this.next as HopWriter).add({ offset: record.offset, values: event.values, vector, replay });
      for (const feed of this.feeds)
        feed.add({ offset: record.offset, values: event.values, vector: NO_VECTOR, replay });
      return;
    }
    const source = { topic: record.topic, partition: record.partition, offset: record.offset };
    (this.next as PredictionWriter).add({
      event,
      vector,
      source,
      cut: this.cutHere(record, output),
      absent: null,
      replay,
      early: false,
    });
  }

  /** A new cut is written where something else was folded since the last one. */
  private cutHere(record: LogRecord, output: Output): string | null {
    if (this.stage.streams.length === 0) return null;
    const folded = this.foldedOffsets();
    const text = JSON.stringify(folded);
    if (text !== this.waitingCut || this.cutNumber === null) {
      this.waitingCut = text;
      this.cutNumber = `${this.stage.name}-${record.partition}-${record.offset}`;
      (this.next as PredictionWriter).writeCut({ id: this.cutNumber, folded }, output);
    }
    return this.cutNumber;
  }

  get pendingRows(): number {
    return this.isLast ? (this.next as PredictionWriter).pending : 0;
  }

  async drain(output: Output): Promise<void> {
    if (this.isLast) await (this.next as PredictionWriter).drain(output);
  }

  flush(output: Output, offsets: ReadonlyMap<string, number>, inputs: readonly InputPace[]): void {
    if (this.isLast) {
      // A cut belongs to the transaction of its predictions.
      this.cutNumber = null;
      return;
    }
    this.isLagging = inputs.some((each) => each.topic === this.requestTopic && mayHaveMore(each));
    // What is no request has been gone through, too: the ranges leave out nothing.
    const next = offsets.get(this.source);
    const from = this.range?.[0] ?? this.told;
    if (next !== undefined && from !== null && next > from) this.range = [from, next];
    this.flushRows(output);
  }

  private flushRows(output: Output): void {
    const { plan, partition, partitions } = this.options;
    const { isIdle } = this.idleness;
    const header: BlockHeader = {
      stage: this.stage.name,
      upstream: partition,
      upstreams: partitions,
      watermark: this.watermark,
      // At the greatest time itself more may come, until nothing comes any more.
      progress: finiteOrNull(this.written - (isIdle ? 0 : 1)),
      isIdle,
      isLagging: this.isLagging,
      isFeed: false,
      sourceTopic: this.requestTopic,
      sourcePartition: partition,
      sourceRange: this.range,
      ...(this.told === null ? {} : { tellsGaps: true }),
      layout: plan.layout.hash,
      inputs: this.blockInputs,
      absent: null,
      folded: this.waitingCut === null ? {} : (JSON.parse(this.waitingCut) as Record<string, Record<string, number>>),
      requests: {},
    };
    for (const feed of this.feeds) feed.flush({ ...header, isFeed: true, layout: '', inputs: [], folded: {} }, output);
    (this.next as HopWriter).flush(header, output);
    this.waitingCut = null;
    if (this.range !== null && this.told !== null) this.told = this.range[1];
    this.range = null;
  }

  get standing(): StreamTask['standing'] {
    return { time: finiteOrNull(this.written), isIdle: this.idleness.isIdle };
  }

  protected get requestWatermark(): number {
    return this.state.progressOf(this.request).watermark;
  }

  override committed(offsets: ReadonlyMap<string, number>): void {
    super.committed(offsets);
    this.told = offsets.get(this.source) ?? this.told;
    this.written = this.state.progressOf(this.request).greatest;
  }

  override forget(): void {
    super.forget();
    this.seen.evict(this.requestWatermark);
  }

  override *snapshot(): ReturnType<ScoreTask['snapshot']> {
    yield* super.snapshot();
    for (const { bucket, value } of this.seen.snapshot()) yield { key: Buffer.from(`s${bucket}`), value };
  }

  protected override restoreEntry(key: string, value: Uint8Array): boolean {
    if (!key.startsWith('s')) return super.restoreEntry(key, value);
    this.seen.restore(Number(key.slice(1)), value);
    return true;
  }

  protected override eventOf(content: unknown): Pick<EventContent, 'stream' | 'event'> | null {
    const typed = content as RequestContent | EventContent;
    return typed.kind === 'request' ? { stream: this.request, event: typed.event } : typed;
  }

  protected encodeMeta(): unknown {
    return null;
  }

  protected decodeMeta(): void {
    // Everything is in the progress of the streams.
  }
}

function replayedRequest(mark: ReplayMark | null, late: boolean): ReplayedRequest | null {
  return mark === null ? null : { topic: mark.topic, partition: mark.partition, offset: mark.offset, late };
}
