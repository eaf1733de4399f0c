import type { CutRecord } from '../../../contracts/records.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import type { Block, BlockRow } from '../../blocks/block.js';
import { NOTHING_DUE, type InputPace, type Passed, type TaskTimers } from '../../runtime/taskTimers.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { Output, ParsedRecord } from '../../runtime/topology.js';
import { AnswerTurns } from './answerTurns.js';
import { BlockTask, isLateReplay, type BlockContent } from './blockTask.js';
import { feedNotes } from './feedNotes.js';
import { decodeHopMeta, type HopMeta } from './hopMeta.js';
import type { HopWriter } from './hopWriter.js';
import type { PredictionWriter } from './predictionWriter.js';
import type { EventContent, ScoreTask, ScoreTaskOptions } from './scoreTask.js';
import { WaitingRows, type WaitingBlock } from './waitingRows.js';

/**
 * A later stage: what becomes of the rows that come in blocks.
 *
 * In `arrival` mode a row is inserted and answered in its turn. In `ordered` mode it is inserted, and waits for its turn.
 */
export class HopTask extends BlockTask implements TaskTimers {
  private readonly waitingRows: WaitingRows;
  private readonly turns: AnswerTurns;
  /** Greatest time of a row. */
  private greatest = Number.NEGATIVE_INFINITY;
  /** The block read last: how a block of this task's own is headed. */
  private newest: Block | null = null;
  early = 0;

  constructor(
    options: ScoreTaskOptions,
    private readonly next: HopWriter | PredictionWriter,
    private readonly isLast: boolean,
  ) {
    super(options);
    this.waitingRows = new WaitingRows((row) => this.timeOf(row));
    this.turns = new AnswerTurns(options.ordering !== null);
  }

  fold({ record, time, content }: ParsedRecord, output: Output, replay: boolean): void {
    const typed = content as BlockContent | EventContent;
    if (typed.kind === 'block') this.foldBlock(typed.block, record, time, output, replay);
    else {
      this.foldEvent(typed, record, output);
      if (this.waitingRows.count > 0) this.release(output, replay);
    }
  }

  private foldBlock(block: Block, record: LogRecord, time: number, output: Output, replay: boolean): void {
    this.upstreamsOf(block.stage).observe(block);
    this.turns.observe(this.waitedFor.progress);
    this.greatest = Math.max(this.greatest, time);
    const isFresh = block.stage === this.first && this.stage.hasOwn;
    if (isFresh) this.ranges.observe(block, block.progress);
    if (!this.turns.waits) {
      if (!block.isFeed && !replay) this.answerInTurn(block, record.offset, isFresh, output);
      else if (isFresh) for (const row of block.rows) this.insert(block, row);
      return;
    }
    if (isFresh) for (const row of block.rows) this.insert(block, row);
    if (!block.isFeed) {
      // Windows may have forgotten what a late replay should see: it has nothing to wait for.
      const late = block.rows.filter(isLateReplay);
      if (late.length > 0 && !replay) this.answer({ block, offset: record.offset, rows: late }, null, output);
      const rows = late.length === 0 ? block.rows : block.rows.filter((row) => !isLateReplay(row));
      this.waitingRows.add(record.offset, block, rows, record.value as Buffer);
    }
    this.release(output, replay);
    this.newest = block;
    if (!replay) this.announce(output);
  }

  /** Row by row: each sees the rows before it, and its own, and none after it. */
  private answerInTurn(block: Block, offset: number, isFresh: boolean, output: Output): void {
    // A block without rows only announces progress, which a later stage must hear of, too.
    if (block.rows.length === 0 && this.isLast) return;
    const cut = this.cutOf(block, `${offset}`, isFresh ? block.sourcePartition : null);
    if (this.isLast) (this.next as PredictionWriter).writeCut(cut, output);
    for (const row of block.rows) {
      if (isFresh) this.insert(block, row);
      this.evaluate(block, row, cut, false);
    }
    if (!this.isLast) this.forward(block, cut, this.requestWatermark, this.waitedFor.progress, output);
  }

  /** Up to this time every row has been answered. */
  private get answeredThrough(): number {
    let ofStreams = Number.POSITIVE_INFINITY;
    for (const stream of this.stage.streams) ofStreams = Math.min(ofStreams, this.state.progressOf(stream).progress);
    return this.turns.answeredThrough(ofStreams);
  }

  /** Answers the rows whose time has come. In silent replay they have been answered. Says whether there were any. */
  private release(output: Output, replay: boolean): boolean {
    const taken = this.waitingRows.take(this.answeredThrough);
    if (replay || taken.length === 0) return false;
    for (const each of taken) this.answer(each, this.turns.horizon, output);
    return true;
  }

  /** @param horizon rows beyond it have not waited for everything; null where they need not. */
  private answer({ block, offset, rows }: WaitingBlock, horizon: number | null, output: Output): void {
    const cut = this.cutOf(block, `${offset}-${(rows[0] as BlockRow).offset}`, null);
    if (this.isLast) (this.next as PredictionWriter).writeCut(cut, output);
    for (const row of rows) {
      const isEarly = horizon !== null && this.timeOf(row) > horizon;
      if (isEarly) this.early++;
      this.evaluate(block, row, cut, isEarly);
    }
    // What is announced is announced once all rows have gone.
    if (!this.isLast) this.forward(block, cut, null, null, output);
  }

  private evaluate(block: Block, row: BlockRow, { id: cut }: CutRecord, isEarly: boolean): void {
    const { offset, vector, replay } = row;
    const event = this.eventAt(row);
    this.state.evaluate(event, vector);
    const early = isEarly || row.early === true;
    if (!this.isLast) {
      (this.next as HopWriter).add(early ? { ...row, early } : row);
      return;
    }
    const source = { topic: block.sourceTopic, partition: block.sourcePartition, offset };
    (this.next as PredictionWriter).add({ event, vector, source, cut, absent: block.absent, replay, early });
  }

  /** Rows of one block go on as blocks of the same source partition. */
  private forward(
    { rows: _, ...header }: Block,
    { folded, requests }: CutRecord,
    watermark: number | null,
    progress: number | null,
    output: Output,
  ): void {
    const said = this.said(watermark, progress);
    (this.next as HopWriter).flush({ ...header, ...said, folded, requests: requests ?? {} }, output);
  }

  /** How far this task has come, once all that could be answered is. */
  private announce(output: Output): void {
    if (this.isLast || this.newest === null) return;
    const { rows: _, ...header } = this.newest;
    const said = this.said(this.requestWatermark, this.answeredThrough);
    (this.next as HopWriter).flush({ ...header, ...said, folded: {}, requests: {} }, output);
  }

  private said(watermark: number | null, progress: number | null) {
    const { isIdle, isLagging } = this.upstreamsOf(this.before);
    return {
      stage: this.stage.name,
      upstream: this.options.partition,
      watermark: finiteOrNull(watermark),
      progress: finiteOrNull(progress),
      isIdle: isIdle && this.waitingRows.count === 0,
      isLagging,
      isFeed: false,
      sourceRange: null,
    };
  }

  get notes(): readonly string[] {
    return feedNotes(this.stage, this.ranges.wholeSince, this.requestWatermark);
  }

  get timers(): TaskTimers {
    return this;
  }

  get firedThrough(): number | null | undefined {
    return this.turns.firedThrough;
  }

  get waiting(): number {
    return this.waitingRows.count;
  }

  resume(firedThrough: number | null | undefined): void {
    this.turns.resume(firedThrough);
  }

  pass(elapsedMs: number, inputs: readonly InputPace[], output: Output): Passed {
    if (!this.turns.isLive) return { ...NOTHING_DUE, hasFired: this.goLive(output) };
    const { ordering } = this.options;
    if (ordering === null) return NOTHING_DUE;
    const isQuiet = inputs.every(({ hasMore }) => !hasMore) && !this.waitedFor.isLagging;
    const isFed =
      this.stage.streams.length > 0 && inputs.every(({ topic, hasMore }) => topic === this.topic || !hasMore);
    const quietMs = this.turns.pass(elapsedMs, { isQuiet, isFed });
    if (this.waitingRows.count === 0) return NOTHING_DUE;
    const { through, nextInMs } = this.waitingRows.waited(quietMs, ordering.maxWaitMs);
    if (isQuiet) this.turns.fire(through);
    const hasFired = this.release(output, false);
    if (hasFired) this.announce(output);
    return { againInMs: isQuiet ? nextInMs : Number.POSITIVE_INFINITY, hasFired };
  }

  /** From here on rows are answered: those that wait have not been, all others have. */
  private goLive(output: Output): boolean {
    this.dropAnswered();
    this.turns.goLive(this.greatest);
    return this.release(output, false);
  }

  private dropAnswered(): void {
    if (!this.turns.isLive) this.waitingRows.take(this.answeredThrough);
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

  override committed(offsets: ReadonlyMap<string, number>): void {
    this.dropAnswered();
    super.committed(offsets);
  }

  /** The least of what the upstream tasks, a fixed set, have announced; rows that wait are still to be answered. */
  protected get requestWatermark(): number {
    return Math.min(this.upstreamsOf(this.before).watermark, this.waitingRows.least);
  }

  override *snapshot(): ReturnType<ScoreTask['snapshot']> {
    yield* super.snapshot();
    for (const { offset, value } of this.waitingRows.snapshot()) yield { key: Buffer.from(`b${offset}`), value };
  }

  protected override restoreEntry(key: string, value: Uint8Array): boolean {
    if (!key.startsWith('b')) return super.restoreEntry(key, value);
    const bytes = Buffer.from(value);
    const block = this.blockOf(bytes);
    this.waitingRows.restore(
      Number(key.slice(1)),
      block,
      block.rows.filter((row) => !isLateReplay(row)),
      bytes,
    );
    return true;
  }

  protected encodeMeta(): HopMeta {
    return {
      upstreams: [...this.upstreams]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([stage, each]) => [stage, each.encode()]),
      ranges: this.ranges.encode(),
      horizon: finiteOrNull(this.turns.horizon),
      greatest: finiteOrNull(this.greatest),
    };
  }

  protected decodeMeta(stored: unknown): void {
    const { upstreams, ranges, horizon, greatest } = decodeHopMeta(stored, this.request.allowedLatenessMs);
    for (const [stage, each] of upstreams) this.upstreamsOf(stage).decode(each);
    this.ranges.decode(ranges);
    this.turns.decode(horizon);
    this.greatest = greatest ?? Number.NEGATIVE_INFINITY;
  }
}
