import { commit, sendEarly, TransactionOutputs } from './commit.js';
import type { RuntimeClock } from './clock.js';
import type { SourceStanding } from './drift.js';
import { deadLetterOf, foldLive } from './foldRecord.js';
import { POISON_LIMIT, PoisonBreaker } from './poisonBreaker.js';
import type { Recovery } from './recover.js';
import { SnapshotWriter } from './snapshotWriter.js';
import type { TaskContext } from './taskContext.js';
import type { TaskInputs } from './taskInputs.js';
import type { Output } from './topology.js';

/** Folded records between two looks at the clock and the event loop. */
const RECORDS_PER_TURN = 128;
/** A transaction's outputs are sent at the latest at this size. */
const MAX_OUTPUT_BYTES = 4 * 2 ** 20;
/** Time between two looks at a store outside of the log while nothing comes in. */
const SETTLE_INTERVAL_MS = 1_000;

/** Settings of a live task, in ms and rows. */
export interface LiveSettings {
  readonly commitIntervalMs: number;
  readonly snapshotIntervalMs: number;
  readonly microBatchRows: number;
}

/** Who runs a live task, and holds its inputs. */
export interface LiveHost {
  readonly clock: RuntimeClock;
  isStopping(): boolean;
  /** The inputs are looked at now: news from here on end the next wait. */
  look(): void;
  /** Inputs that were paused for their size go on where there is room again. */
  resumeDrained(): void;
  /** Waits for news of the inputs, a stop, or so long, ms. */
  signal(withinMs: number): Promise<void>;
  committed(offsets: ReadonlyMap<string, number>, watermark: number | null): void;
}

/**
 * A task after its recovery, until it is stopped. One turn of it:
 *
 *   1 fold   what is there, a bounded number of records, unless the task is too far ahead of other sources (drift.ts)
 *   2 pass   the time that has passed leads to what it leads to (taskTimers.ts)
 *   3 drain  full micro-batches are scored
 *   4 commit where it is due by time or size (commit.ts); then a snapshot, where one is due, and the store outside of the log
 *   5 wait   where nothing was there, for news or the next thing that is due
 */
export class LiveTask {
  /** Records folded and timers fired since the last commit, and how many of them had their outputs sent before it. */
  private folded = 0;
  private sentAt = 0;
  private firstFoldAt = 0;
  private settledAt = 0;
  private passedAt: number;
  private early: number;
  /** How far the task has said that it is. */
  private told = '';
  private offsets: ReadonlyMap<string, number>;
  private readonly outputs = new TransactionOutputs();
  private readonly output: Output;
  private readonly breaker: PoisonBreaker;
  private readonly snapshots: SnapshotWriter;
  private readonly clock: RuntimeClock;
  /** Rows that are folded and wait to be answered. */
  waitingRows = 0;

  constructor(
    private readonly context: TaskContext,
    private readonly recovery: Recovery,
    private readonly inputs: TaskInputs,
    private readonly settings: LiveSettings,
    private readonly host: LiveHost,
  ) {
    const { outputs } = this;
    const { project } = context.topology.identity;
    this.output = {
      emit: (record) => outputs.emit(record),
      deadLetter: (record, error) => outputs.emit(deadLetterOf(project, record, error)),
    };
    this.clock = host.clock;
    this.offsets = recovery.committed;
    this.breaker = new PoisonBreaker(context.id, { ...POISON_LIMIT, ...context.options.poisonLimit });
    this.snapshots = new SnapshotWriter(context, recovery, host.clock, settings.snapshotIntervalMs);
    this.passedAt = host.clock.now();
    this.early = recovery.task.timers?.early ?? 0;
  }

  /**
   * Runs until the host stops.
   *
   * @throws TidemillError of the log, of snapshots, and of what the task does
   */
  async run(): Promise<void> {
    const { host } = this;
    // What the predecessor had committed and not yet brought to its store.
    await this.settle();
    this.pass();
    while (!host.isStopping()) {
      host.look();
      const taken = this.fold();
      host.resumeDrained();
      const timerInMs = this.pass();
      if (this.hasFullBatch) await this.recovery.task.drain(this.output);
      if (this.commitInMs <= 0 || this.outputs.bytes >= MAX_OUTPUT_BYTES) await this.commit();
      else if (taken === 0) await this.rest(timerInMs);
      else await this.clock.turn();
    }
  }

  /** Commits what is folded, and writes the last snapshot. */
  async finish(): Promise<void> {
    if (this.folded > 0) await this.commit();
    await this.snapshots.finish(this.offsets);
  }

  private get hasFullBatch(): boolean {
    return this.recovery.task.pendingRows >= this.settings.microBatchRows;
  }

  private get commitInMs(): number {
    if (this.folded === 0) return Number.POSITIVE_INFINITY;
    return this.firstFoldAt + this.settings.commitIntervalMs - this.clock.now();
  }

  private get standing(): SourceStanding | null {
    const { standing } = this.recovery.task;
    return this.context.drift === null || standing === undefined ? null : { task: this.context.id, ...standing };
  }

  /** 1: how many records were taken. */
  private fold(): number {
    const { drift, counters } = this.context;
    const { standing } = this;
    if (standing !== null && drift?.isAhead(standing) === true) return 0;
    let taken = 0;
    while (taken < RECORDS_PER_TURN && !this.hasFullBatch) {
      const next = this.inputs.take();
      if (next === null) break;
      if (this.folded++ === 0) this.firstFoldAt = this.clock.now();
      taken++;
      foldLive(this.recovery.task, next, this.output, this.breaker);
    }
    counters.folded += taken;
    return taken;
  }

  /** 2: in how many ms the task wants to be asked again. */
  private pass(): number {
    const { timers } = this.recovery.task;
    if (timers === undefined) return Number.POSITIVE_INFINITY;
    const now = this.clock.now();
    const { againInMs, hasFired } = timers.pass(now - this.passedAt, this.inputs.pace(), this.output);
    this.passedAt = now;
    this.waitingRows = timers.waiting;
    if (hasFired && this.folded++ === 0) this.firstFoldAt = now;
    return againInMs;
  }

  /** 4 */
  private async commit(): Promise<void> {
    const { context, recovery, outputs, output } = this;
    const { task, producer } = recovery;
    const { standing } = this;
    if (standing !== null && this.told !== JSON.stringify(standing)) {
      outputs.emit((context.drift as NonNullable<TaskContext['drift']>).record(standing));
      this.told = JSON.stringify(standing);
    }
    this.offsets = await commit(context, producer, task, this.inputs, outputs, output);
    this.host.committed(this.offsets, task.watermark);
    this.folded = 0;
    this.sentAt = 0;
    const early = task.timers?.early ?? 0;
    context.counters.early += early - this.early;
    this.early = early;
    this.snapshots.afterCommit(this.offsets);
    await this.settle();
  }

  private async settle(): Promise<void> {
    const { task, highWatermarks } = this.recovery;
    const hasCaughtUp = [...highWatermarks].every(([name, end]) => (this.offsets.get(name) ?? 0) >= end);
    const hasMore = this.inputs.pace().some((each) => each.hasMore);
    await task.settle?.(this.offsets, hasCaughtUp, hasMore);
    this.settledAt = this.clock.now();
  }

  /** 5 */
  private async rest(timerInMs: number): Promise<void> {
    const { context, recovery } = this;
    if (context.options.processing === 'at-least-once' && this.folded > this.sentAt) {
      await sendEarly(context, recovery.producer, recovery.task, this.inputs, this.outputs, this.output);
      this.sentAt = this.folded;
      return;
    }
    if (this.folded > 0) {
      await this.host.signal(Math.min(this.commitInMs, timerInMs));
      return;
    }
    this.snapshots.writeDue(this.offsets);
    const settleInMs =
      recovery.task.settle === undefined
        ? Number.POSITIVE_INFINITY
        : this.settledAt + SETTLE_INTERVAL_MS - this.clock.now();
    if (settleInMs <= 0) await this.settle();
    else await this.host.signal(Math.min(settleInMs, timerInMs, this.snapshots.dueInMs));
  }
}
