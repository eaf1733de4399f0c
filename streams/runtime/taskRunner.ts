import { isTidemillError } from '../../contracts/errors.js';
import type { GroupMember, LogRecord, TopicPartition } from '../../stores/log/log.js';
import { ArchivedFeed } from './archivedFeed.js';
import { processClock, type RuntimeClock } from './clock.js';
import { commit, sendEarly, TransactionOutputs } from './commit.js';
import { deadLetterOf, foldLive, foldSilently } from './foldRecord.js';
import { POISON_LIMIT, PoisonBreaker } from './poisonBreaker.js';
import { isHealing, recover, type Recovery } from './recover.js';
import { SnapshotWriter } from './snapshotWriter.js';
import type { TaskContext } from './taskContext.js';
import type { SourceStanding } from './drift.js';
import { TaskInputs } from './taskInputs.js';
import { taskStatus, type TaskState, type TaskStatus } from './taskStatus.js';
import type { Output } from './topology.js';

/** Folded records between two looks at the clock and the event loop. */
const RECORDS_PER_TURN = 128;
/** A transaction's outputs are sent at the latest at this size. */
const MAX_OUTPUT_BYTES = 4 * 2 ** 20;

/** Time between two looks at a store outside of the log while nothing comes in. */
const SETTLE_INTERVAL_MS = 1_000;

const DEFAULTS = {
  commitIntervalMs: 100,
  snapshotIntervalMs: 5_000,
  maxQueueBytes: 8 * 2 ** 20,
  microBatchRows: 256,
} as const;

/**
 * Runs one task from its assignment until it is lost or stopped: recover, replay, then fold and commit. A failure whose
 * outcome is unknown ends in a new recovery; one that cannot heal ends the topology.
 */
export class TaskRunner {
  private inputs: TaskInputs;
  private state: TaskState = 'recovering';
  private stopping = false;
  private lost = false;
  private wake: () => void = () => undefined;
  /** Something came since the inputs were last looked at. */
  private hasNews = false;
  private readonly clock: RuntimeClock;
  private readonly done: Promise<void>;
  /** Of the newest recovery. */
  private feed: ArchivedFeed | null = null;
  /** Committed offsets; empty until the first recovery. */
  private committedOffsets: ReadonlyMap<string, number> = new Map();
  /** Where the replay of the newest recovery started. */
  private restoredFrom: ReadonlyMap<string, number> = new Map();
  private watermarkValue: number | null = null;
  private waitingRows = 0;
  private notes: readonly string[] = [];
  /** Of the newest recovery. */
  private replayedRecords = 0;

  constructor(
    private readonly context: TaskContext,
    private readonly member: GroupMember,
    private epoch: number,
  ) {
    this.inputs = new TaskInputs(context.partitions, () => {
      throw new Error('invariant broken: a record before recovery');
    });
    this.clock = context.options.clock ?? processClock;
    this.done = this.run();
  }

  get id(): string {
    return this.context.id;
  }

  get status(): TaskStatus {
    return taskStatus({
      task: this.id,
      state: this.state,
      replayed: this.replayedRecords,
      inputs: this.inputs,
      committed: this.committedOffsets,
      restoredFrom: this.restoredFrom,
      watermark: this.watermarkValue,
      waitingRows: this.waitingRows,
      notes: this.notes,
    });
  }

  /** Another assignment that holds this task, too: reading goes on where it was. */
  reassigned(epoch: number): void {
    this.epoch = epoch;
    if (this.state === 'stopped') return;
    for (const input of this.inputs.inputs) {
      if (input.isStarted && this.feed?.isFeeding(input) !== true) this.member.seekAndResume(input, input.position);
      input.isPaused = false;
    }
  }

  enqueue(records: readonly LogRecord[], epoch: number): void {
    if (epoch !== this.epoch || this.lost) return;
    this.inputs.enqueue(records);
    const [first] = records;
    const input = first === undefined ? undefined : this.inputs.input(first);
    if (input !== undefined && !input.isPaused && input.bytes > this.setting('maxQueueBytes')) {
      input.isPaused = true;
      this.member.pause([input]);
    }
    this.news();
  }

  advance(partition: TopicPartition, position: number, highWatermark: number, epoch: number): void {
    if (epoch !== this.epoch || this.lost) return;
    this.inputs.advance(partition, position, highWatermark);
    this.news();
  }

  private news(): void {
    this.hasNews = true;
    this.wake();
  }

  /** Something outside of its inputs has changed that it may have waited for. */
  reconsider(): void {
    this.news();
  }

  /** The task belongs to somebody else: what was not committed is dropped. */
  async release(): Promise<void> {
    this.lost = true;
    this.stopping = true;
    this.wake();
    await this.done;
  }

  /** Finishes what is folded, commits, snapshots. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.wake();
    await this.done;
  }

  private async run(): Promise<void> {
    const { options } = this.context;
    for (let attempt = 0; !this.stopping; attempt++) {
      let recovery: Recovery | null = null;
      try {
        recovery = await this.recover();
        attempt = 0;
        // A stop during the replay leaves a state below the committed offsets: nothing may be written from it.
        if (!this.stopping) await this.live(recovery);
      } catch (error) {
        if (this.lost) break;
        if (!isHealing(error)) {
          options.onFatal(error);
          break;
        }
        this.context.counters.rebuilds++;
        this.state = 'recovering';
        options.onEvent?.({ kind: 'rebuild', task: this.id, error });
        await this.closeAfterFailure(recovery, error);
        recovery = null;
        // A zombie must not fence the rightful owner: only who is confirmed takes the task back.
        if (isTidemillError(error, 'PRODUCER_FENCED') && !(await this.member.confirmAssigned(this.epoch)) && this.lost)
          break;
        await this.clock.wait(Math.min(5_000, 50 * 2 ** Math.min(attempt, 7))).over;
      } finally {
        if (recovery !== null) await this.closeAfterFailure(recovery);
      }
    }
    this.state = 'stopped';
    if (this.lost) options.onEvent?.({ kind: 'lost', task: this.id });
  }

  private async closeAfterFailure(recovery: Recovery | null, error?: unknown): Promise<void> {
    this.feed?.stop();
    if (recovery === null) return;
    await recovery.objects?.settled();
    if (isTidemillError(error, 'STATE_CORRUPT')) {
      // State that is read by key shows its damage only when it is read: the next recovery does without the snapshot.
      this.context.options.onEvent?.({ kind: 'snapshotDiscarded', task: this.id, reason: error.message });
      await recovery.snapshots.reset(this.context.owner, recovery.task.stateIdentity);
    }
    await recovery.snapshots.close();
    await recovery.producer.close();
  }

  /** Steps 1 to 4 are in recover.ts; here 5 seek, 6 replay silently to the committed offsets. */
  private async recover(): Promise<Recovery> {
    const started = this.clock.now();
    this.state = 'recovering';
    this.replayedRecords = 0;
    const recovery = await recover(this.context, (offsets) => this.member.commitOffsets(offsets, this.epoch));
    try {
      await this.replay(recovery, started);
      return recovery;
    } catch (error) {
      await this.closeAfterFailure(recovery, error);
      throw error;
    }
  }

  private async replay(recovery: Recovery, started: number): Promise<void> {
    const { task, from, committed } = recovery;
    const inputs = new TaskInputs(this.context.partitions, (record) => task.parse(record));
    this.inputs = inputs;
    this.committedOffsets = committed;
    this.restoredFrom = from;
    // 5 seek
    const feed = new ArchivedFeed(this.context, {
      inputs,
      clock: this.clock,
      maxQueueBytes: this.setting('maxQueueBytes'),
      news: () => this.news(),
      goOn: (input) => {
        if (!this.lost) this.member.seekAndResume(input, input.position);
      },
    });
    this.feed = feed;
    for (const input of inputs.inputs) {
      inputs.start(input, from.get(input.name) as number, recovery.highWatermarks.get(input.name) as number);
      if (input.position < (recovery.logStarts.get(input.name) as number)) feed.start(input);
      else this.member.seekAndResume(input, input.position);
    }
    // 6 replay
    let replayed = 0;
    while (
      !this.stopping &&
      inputs.inputs.some((input) => inputs.nextOffset(input) < (committed.get(input.name) as number))
    ) {
      this.hasNews = false;
      feed.check();
      const next = inputs.takeBelow(committed);
      if (next === null) {
        await this.signal();
        continue;
      }
      if (!('failure' in next)) foldSilently(recovery, next);
      this.replayedRecords = replayed + 1;
      if (++replayed % 1_000 === 0) {
        this.context.options.reach?.('in-replay', this.id);
        this.resumeDrained();
        await this.clock.turn();
      }
    }
    task.committed(committed);
    this.watermarkValue = task.watermark;
    this.notes = task.notes ?? [];
    this.context.options.onEvent?.({
      kind: 'recovered',
      task: this.id,
      replayed,
      fromSnapshot: recovery.fromSnapshot,
      ms: Math.round(this.clock.now() - started),
    });
  }

  private async live(recovery: Recovery): Promise<void> {
    const { task, producer, highWatermarks } = recovery;
    const { options } = this.context;
    const { inputs } = this;
    this.state = 'live';
    const outputs = new TransactionOutputs();
    const output: Output = {
      emit: (record) => outputs.emit(record),
      deadLetter: (record, error) => outputs.emit(deadLetterOf(this.context.topology.identity.project, record, error)),
    };
    const { counters } = this.context;
    const breaker = new PoisonBreaker(this.id, { ...POISON_LIMIT, ...options.poisonLimit });
    /** Records folded and timers fired since the last commit, and how many of them had their outputs sent before it. */
    let folded = 0;
    let sentAt = 0;
    let firstFoldAt = 0;
    const snapshots = new SnapshotWriter(this.context, recovery, this.clock, this.setting('snapshotIntervalMs'));
    const { drift } = this.context;
    const standing = (): SourceStanding | null =>
      drift === null || task.standing === undefined ? null : { task: this.id, ...task.standing };
    let told = '';
    const commitNow = async (): Promise<void> => {
      const here = standing();
      if (drift !== null && here !== null && told !== JSON.stringify(here)) {
        outputs.emit(drift.record(here));
        told = JSON.stringify(here);
      }
      this.committedOffsets = await commit(this.context, producer, task, inputs, outputs, output);
      this.watermarkValue = task.watermark;
      this.notes = task.notes ?? [];
      folded = 0;
      sentAt = 0;
      counters.early += (task.timers?.early ?? 0) - early;
      early = task.timers?.early ?? 0;
      snapshots.afterCommit(this.committedOffsets);
      await settle();
    };
    let lastSettledAt = 0;
    const settle = async (): Promise<void> => {
      const hasCaughtUp = [...highWatermarks].every(([name, end]) => (this.committedOffsets.get(name) ?? 0) >= end);
      await task.settle?.(this.committedOffsets, hasCaughtUp);
      lastSettledAt = this.clock.now();
    };
    // What the predecessor had committed and not yet brought to its store.
    await settle();
    let passedAt = this.clock.now();
    let early = task.timers?.early ?? 0;
    /** Lets the task do what time leads to; says when it is to be asked again, ms. */
    const passTime = (): number => {
      const { timers } = task;
      if (timers === undefined) return Number.POSITIVE_INFINITY;
      const now = this.clock.now();
      const { againInMs, hasFired } = timers.pass(now - passedAt, inputs.pace(), output);
      passedAt = now;
      this.waitingRows = timers.waiting;
      if (hasFired && folded++ === 0) firstFoldAt = now;
      return againInMs;
    };
    passTime();

    while (!this.stopping) {
      let taken = 0;
      this.hasNews = false;
      this.feed?.check();
      const here = standing();
      const isAhead = here !== null && drift?.isAhead(here) === true;
      while (!isAhead && taken < RECORDS_PER_TURN && task.pendingRows < this.setting('microBatchRows')) {
        const next = inputs.take();
        if (next === null) break;
        if (folded++ === 0) firstFoldAt = this.clock.now();
        taken++;
        foldLive(task, next, output, breaker);
      }
      counters.folded += taken;
      this.resumeDrained();
      const timerIn = passTime();
      if (task.pendingRows >= this.setting('microBatchRows')) await task.drain(output);
      const dueIn =
        folded === 0 ? Number.POSITIVE_INFINITY : firstFoldAt + this.setting('commitIntervalMs') - this.clock.now();
      if (dueIn <= 0 || outputs.bytes >= MAX_OUTPUT_BYTES) await commitNow();
      else if (taken === 0) {
        if (options.processing === 'at-least-once' && folded > sentAt) {
          await sendEarly(this.context, producer, task, inputs, outputs, output);
          sentAt = folded;
          continue;
        }
        const isIdle = folded === 0;
        if (isIdle) snapshots.writeDue(this.committedOffsets);
        const settleIn =
          isIdle && task.settle !== undefined
            ? lastSettledAt + SETTLE_INTERVAL_MS - this.clock.now()
            : Number.POSITIVE_INFINITY;
        const snapshotIn = isIdle ? snapshots.dueInMs : Number.POSITIVE_INFINITY;
        if (settleIn <= 0) await settle();
        else await this.signal(Math.min(dueIn, settleIn, timerIn, snapshotIn));
      } else await this.clock.turn();
    }
    if (this.lost) return;
    if (folded > 0) await commitNow();
    await snapshots.finish(this.committedOffsets);
  }

  private resumeDrained(): void {
    for (const input of this.inputs.inputs) {
      if (!input.isPaused || input.bytes > this.setting('maxQueueBytes') / 2) continue;
      input.isPaused = false;
      this.member.resume([input]);
    }
  }

  /** Waits for records, progress, a stop, or the time to commit. */
  private async signal(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.hasNews || this.stopping) return;
    const { over, end } = this.clock.wait(withinMs);
    this.wake = end;
    await over;
  }

  private setting(name: keyof typeof DEFAULTS): number {
    return this.context.options[name] ?? DEFAULTS[name];
  }
}
