import { isTidemillError, messageOf, TidemillError } from '../../contracts/errors.js';
import { deadLetterTopic } from '../../contracts/topics.js';
import type { GroupMember, LogRecord, TopicPartition } from '../../stores/log/log.js';
import { processClock, type RuntimeClock } from './clock.js';
import { commit, sendEarly, TransactionOutputs } from './commit.js';
import { recover, type Recovery } from './recover.js';
import type { TaskContext } from './taskContext.js';
import { partitionName, TaskInputs, type InputRecord } from './taskInputs.js';
import type { Output, StreamTask } from './topology.js';

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

/** How a task stands. */
export interface TaskStatus {
  readonly task: string;
  readonly state: 'recovering' | 'live' | 'stopped';
  /** Records replayed in the last recovery, so far. */
  readonly replayed: number;
  /** Committed offsets, by partition name. */
  readonly offsets: Readonly<Record<string, number>>;
  readonly watermark: number | null;
}

/**
 * Runs one task from its assignment until it is lost or stopped: recover, replay, then fold and commit. A failure whose
 * outcome is unknown ends in a new recovery; one that cannot heal ends the topology.
 */
export class TaskRunner {
  private inputs: TaskInputs;
  private state: 'recovering' | 'live' | 'stopped' = 'recovering';
  private stopping = false;
  private lost = false;
  private wake: () => void = () => undefined;
  /** Something came since the inputs were last looked at. */
  private hasNews = false;
  private readonly clock: RuntimeClock;
  private readonly done: Promise<void>;
  /** Committed offsets; empty until the first recovery. */
  private committedOffsets: ReadonlyMap<string, number> = new Map();
  private watermarkValue: number | null = null;
  replayedRecords = 0;

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
    return {
      task: this.id,
      state: this.state,
      replayed: this.replayedRecords,
      offsets: Object.fromEntries(this.committedOffsets),
      watermark: this.watermarkValue,
    };
  }

  /** Another assignment that holds this task, too: reading goes on where it was. */
  reassigned(epoch: number): void {
    this.epoch = epoch;
    if (this.state === 'stopped') return;
    for (const input of this.inputs.inputs) {
      if (input.isStarted) this.member.seekAndResume(input, input.position);
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
    if (recovery === null) return;
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
    // 5 seek
    for (const input of inputs.inputs) {
      inputs.start(input, from.get(input.name) as number, recovery.highWatermarks.get(input.name) as number);
      this.member.seekAndResume(input, input.position);
    }
    // 6 replay
    let replayed = 0;
    while (
      !this.stopping &&
      inputs.inputs.some((input) => inputs.nextOffset(input) < (committed.get(input.name) as number))
    ) {
      this.hasNews = false;
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
    this.context.options.onEvent?.({
      kind: 'recovered',
      task: this.id,
      replayed,
      fromSnapshot: recovery.fromSnapshot,
      ms: Math.round(this.clock.now() - started),
    });
  }

  private async live({ task, producer, snapshots, highWatermarks }: Recovery): Promise<void> {
    const { options } = this.context;
    const { inputs } = this;
    this.state = 'live';
    const outputs = new TransactionOutputs();
    const output: Output = {
      emit: (record) => outputs.emit(record),
      deadLetter: (record, error) => outputs.emit(this.deadLetter(record, error)),
    };
    /** Records folded since the last commit, and how many of them had their outputs sent before it. */
    let folded = 0;
    let sentAt = 0;
    let firstFoldAt = 0;
    let lastSnapshotAt = this.clock.now();
    let snapshotting: Promise<void> | null = null;
    let snapshotFailure: unknown = null;

    const snapshot = (offsets: ReadonlyMap<string, number>): void => {
      options.reach?.('before-snapshot', this.id);
      const entries = [...task.snapshot()];
      const header = {
        owner: this.context.owner,
        identity: task.stateIdentity,
        offsets: Object.fromEntries(offsets),
        ...(task.parts === undefined ? {} : { parts: task.parts }),
      };
      lastSnapshotAt = this.clock.now();
      snapshotting = snapshots
        .write(header, entries)
        .then(() => {
          options.reach?.('after-snapshot', this.id);
          task.snapshotWritten?.();
        })
        .catch((error: unknown) => {
          snapshotFailure = error;
        })
        .finally(() => {
          snapshotting = null;
        });
    };
    const commitNow = async (): Promise<void> => {
      this.committedOffsets = await commit(this.context, producer, task, inputs, outputs, output);
      this.watermarkValue = task.watermark;
      folded = 0;
      sentAt = 0;
      if (snapshotFailure !== null) throw snapshotFailure as Error;
      if (snapshotting === null && this.clock.now() - lastSnapshotAt >= this.setting('snapshotIntervalMs')) {
        snapshot(this.committedOffsets);
      }
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

    while (!this.stopping) {
      let taken = 0;
      this.hasNews = false;
      while (taken < RECORDS_PER_TURN && task.pendingRows < this.setting('microBatchRows')) {
        const next = inputs.take();
        if (next === null) break;
        if (folded++ === 0) firstFoldAt = this.clock.now();
        taken++;
        fold(task, next, output);
      }
      this.resumeDrained();
      if (task.pendingRows >= this.setting('microBatchRows')) await task.drain(output);
      const dueIn =
        folded === 0 ? Number.POSITIVE_INFINITY : firstFoldAt + this.setting('commitIntervalMs') - this.clock.now();
      if (dueIn <= 0 || outputs.bytes >= MAX_OUTPUT_BYTES) await commitNow();
      else if (taken === 0) {
        if (options.processing === 'at-least-once' && folded > sentAt) {
          await sendEarly(producer, task, outputs, output);
          sentAt = folded;
          continue;
        }
        const isIdle = folded === 0 && task.settle !== undefined;
        const settleIn = isIdle ? lastSettledAt + SETTLE_INTERVAL_MS - this.clock.now() : Number.POSITIVE_INFINITY;
        if (settleIn <= 0) await settle();
        else await this.signal(Math.min(dueIn, settleIn));
      } else await this.clock.turn();
    }
    if (this.lost) return;
    if (folded > 0) await commitNow();
    await (snapshotting ?? Promise.resolve());
    snapshot(this.committedOffsets);
    await (snapshotting ?? Promise.resolve());
  }

  private deadLetter(record: LogRecord, error: unknown): Parameters<Output['emit']>[0] {
    return {
      topic: deadLetterTopic(this.context.topology.identity.project),
      key: record.key,
      value: record.value,
      headers: {
        'original-topic': record.topic,
        'original-partition': String(record.partition),
        'original-offset': String(record.offset),
        code: error instanceof TidemillError ? error.code : 'FOLD_FAILED',
        message: messageOf(error),
        attempt: '1',
      },
    };
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

/** Folds one record; one that cannot be folded is set aside in its place. */
function fold(task: StreamTask, next: InputRecord, output: Output): void {
  if ('failure' in next) {
    output.deadLetter(next.record, next.failure);
    return;
  }
  try {
    task.fold(next, output, false);
  } catch (error) {
    if (isTidemillError(error, 'STATE_CORRUPT')) throw error;
    // The fold is deterministic: what fails once fails always.
    output.deadLetter(next.record, error);
  }
}

/**
 * Records that failed when they were live have their dead letter; they change nothing. What lies before the snapshot is
 * read for the parts alone that the snapshot lacks.
 */
function foldSilently({ task, heldFrom }: Recovery, next: Exclude<InputRecord, { failure: unknown }>): void {
  const { record } = next;
  try {
    if (record.offset < (heldFrom.get(partitionName(record)) ?? 0)) task.foldBefore?.(next);
    else task.fold(next, SILENT, true);
  } catch (error) {
    if (isTidemillError(error, 'STATE_CORRUPT')) throw error;
    // Poison, answered when it was live: a replay leaves it out for the same reason.
  }
}

const SILENT: Output = { emit: () => undefined, deadLetter: () => undefined };

/** Does a new recovery help? Lost offsets, missing offsets or a broken invariant do not heal by themselves. */
function isHealing(error: unknown): boolean {
  return (
    isTidemillError(error, 'PRODUCER_FENCED') ||
    isTidemillError(error, 'PRODUCER_UNUSABLE') ||
    isTidemillError(error, 'LOG_UNAVAILABLE') ||
    isTidemillError(error, 'SNAPSHOT_NOT_OWNED') ||
    isTidemillError(error, 'STATE_CORRUPT') ||
    isTidemillError(error, 'TEMPORAL_UNAVAILABLE') ||
    isTidemillError(error, 'REGISTRY_BUSY') ||
    (error instanceof Error && error.name.startsWith('KafkaJS'))
  );
}
