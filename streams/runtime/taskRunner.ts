import { isTidemillError } from '../../contracts/errors.js';
import type { GroupMember, LogRecord, TopicPartition } from '../../stores/log/log.js';
import { ArchivedFeed } from './archivedFeed.js';
import { processClock, type RuntimeClock } from './clock.js';
import { LiveTask, type LiveHost } from './liveTask.js';
import { isHealing, recover, type Recovery } from './recover.js';
import { replaySilently } from './silentReplay.js';
import type { TaskContext } from './taskContext.js';
import { TaskInputs } from './taskInputs.js';
import { taskStatus, type TaskState, type TaskStatus } from './taskStatus.js';

const DEFAULTS = {
  commitIntervalMs: 100,
  snapshotIntervalMs: 5_000,
  maxQueueBytes: 8 * 2 ** 20,
  microBatchRows: 256,
} as const;

/**
 * Runs one task from its assignment until it is lost or stopped: recover (recover.ts), replay, then fold and commit
 * (liveTask.ts). A failure whose outcome is unknown ends in a new recovery; one that cannot heal ends the topology.
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
  private notes: readonly string[] = [];
  /** Of the newest recovery, once its replay is over. */
  private liveTask: LiveTask | null = null;
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
    // Whoever waits for the end must see it, and what nobody waits for must not take the process down.
    this.done = this.run().catch((error: unknown) => context.options.onFatal(error));
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
      waitingRows: this.liveTask?.waitingRows ?? 0,
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
    this.reconsider();
  }

  advance(partition: TopicPartition, position: number, highWatermark: number, epoch: number): void {
    if (epoch !== this.epoch || this.lost) return;
    this.inputs.advance(partition, position, highWatermark);
    this.reconsider();
  }

  /** Something that it may have waited for has changed: its inputs, or what is outside of them. */
  reconsider(): void {
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
        this.context.counters.rebuilds++;
        this.state = 'recovering';
        options.onEvent?.({ kind: 'rebuild', task: this.id, error });
        await this.closeAfterFailure(recovery, error);
        recovery = null;
        // A zombie must not fence the rightful owner: only who is confirmed takes the task back.
        if (isTidemillError(error, 'PRODUCER_FENCED') && !(await this.isConfirmed()) && this.lost) break;
        await this.backOff(Math.min(5_000, 50 * 2 ** Math.min(attempt, 7)));
      } finally {
        if (recovery !== null) await this.closeAfterFailure(recovery);
      }
    }
    this.state = 'stopped';
    if (this.lost) options.onEvent?.({ kind: 'lost', task: this.id });
  }

  /** A stop ends the wait. */
  private async backOff(ms: number): Promise<void> {
    if (this.stopping) return;
    const { over, end } = this.clock.wait(ms);
    this.wake = () => {
      if (this.stopping) end();
    };
    await over;
  }

  /** Is the task still assigned here? A stop ends the wait for the answer. */
  private isConfirmed(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.wake = () => {
        if (this.stopping) resolve(false);
      };
      this.member.confirmAssigned(this.epoch).then(resolve, reject);
    });
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
    // A successor fences it: whether its connection could be closed does not matter.
    await recovery.producer.close().catch(() => undefined);
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
    const inputs = new TaskInputs(this.context.partitions, (record) => task.parse(record), this.context.options.goesOn);
    this.inputs = inputs;
    this.committedOffsets = committed;
    this.restoredFrom = from;
    // 5 seek
    const feed = new ArchivedFeed(this.context, {
      inputs,
      clock: this.clock,
      maxQueueBytes: this.setting('maxQueueBytes'),
      news: () => this.reconsider(),
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
    await replaySilently(this.context, recovery, inputs, this.hostOf(recovery), (records) => {
      this.replayedRecords = records;
    });
    task.committed(committed);
    this.watermarkValue = task.watermark;
    this.notes = task.notes ?? [];
    this.context.options.onEvent?.({
      kind: 'recovered',
      task: this.id,
      replayed: this.replayedRecords,
      fromSnapshot: recovery.fromSnapshot,
      ms: Math.round(this.clock.now() - started),
    });
  }

  private async live(recovery: Recovery): Promise<void> {
    this.state = 'live';
    const settings = {
      commitIntervalMs: this.setting('commitIntervalMs'),
      snapshotIntervalMs: this.setting('snapshotIntervalMs'),
      microBatchRows: this.setting('microBatchRows'),
    };
    const task = new LiveTask(this.context, recovery, this.inputs, settings, this.hostOf(recovery));
    this.liveTask = task;
    await task.run();
    if (!this.lost) await task.finish();
  }

  private hostOf(recovery: Recovery): LiveHost {
    return {
      clock: this.clock,
      isStopping: () => this.stopping,
      look: () => this.look(),
      resumeDrained: () => this.resumeDrained(),
      signal: (withinMs) => this.signal(withinMs),
      committed: (offsets, watermark) => {
        this.committedOffsets = offsets;
        this.watermarkValue = watermark;
        this.notes = recovery.task.notes ?? [];
      },
    };
  }

  private look(): void {
    this.hasNews = false;
    this.feed?.check();
  }

  private resumeDrained(): void {
    for (const input of this.inputs.inputs) {
      if (!input.isPaused || input.bytes > this.setting('maxQueueBytes') / 2) continue;
      input.isPaused = false;
      this.member.resume([input]);
    }
  }

  /** Waits for records, progress, a stop, or the time to commit. */
  private async signal(withinMs: number): Promise<void> {
    if (this.hasNews || this.stopping) return;
    const { over, end } = this.clock.wait(withinMs);
    this.wake = end;
    await over;
  }

  private setting(name: keyof typeof DEFAULTS): number {
    return this.context.options[name] ?? DEFAULTS[name];
  }
}
