import type { RuntimeClock } from './clock.js';
import type { Recovery } from './recover.js';
import type { TaskContext } from './taskContext.js';

/** Writes a task's snapshots beside its work, one at a time, and offers each to the object store. */
export class SnapshotWriter {
  private writtenAt: number;
  /** Has anything been committed since? */
  private isBehind = false;
  private writing: Promise<void> | null = null;
  private failure: { readonly error: unknown } | null = null;

  constructor(
    private readonly context: TaskContext,
    private readonly recovery: Pick<Recovery, 'task' | 'snapshots' | 'objects'>,
    private readonly clock: RuntimeClock,
    private readonly intervalMs: number,
  ) {
    this.writtenAt = clock.now();
  }

  /**
   * Writes one where it is due. Called right after a commit, before any further fold.
   *
   * @throws what went wrong with an earlier one: SNAPSHOT_NOT_OWNED where another process took over
   */
  afterCommit(offsets: ReadonlyMap<string, number>): void {
    this.isBehind = true;
    this.writeDue(offsets);
  }

  /** In how many ms one is due that no commit will bring about; Infinity where what was committed is written. */
  get dueInMs(): number {
    if (!this.isBehind) return Number.POSITIVE_INFINITY;
    return this.writing === null ? Math.max(0, this.writtenAt + this.intervalMs - this.clock.now()) : this.intervalMs;
  }

  /**
   * Writes one where it is due and nothing has been folded since the last commit: a task with nothing to do keeps up, too.
   *
   * @throws as `afterCommit`
   */
  writeDue(offsets: ReadonlyMap<string, number>): void {
    this.refuseAfterFailure();
    if (this.writing === null && this.dueInMs === 0) this.write(offsets);
  }

  /**
   * The last one: what was committed by the end is in it.
   *
   * @throws as `afterCommit`: after one that was not written, none is. It would lack what had changed before.
   */
  async finish(offsets: ReadonlyMap<string, number>): Promise<void> {
    await this.writing;
    this.refuseAfterFailure();
    this.write(offsets);
    await this.writing;
    this.refuseAfterFailure();
  }

  private refuseAfterFailure(): void {
    if (this.failure !== null) throw this.failure.error;
  }

  private write(offsets: ReadonlyMap<string, number>): void {
    const { task, snapshots, objects } = this.recovery;
    const { options, id, owner } = this.context;
    options.reach?.('before-snapshot', id);
    const entries = [...task.snapshot()];
    const header = {
      owner,
      identity: task.stateIdentity,
      offsets: Object.fromEntries(offsets),
      ...(task.parts === undefined ? {} : { parts: task.parts }),
    };
    this.writtenAt = this.clock.now();
    this.isBehind = false;
    this.writing = snapshots
      .write(header, entries)
      .then(() => {
        options.reach?.('after-snapshot', id);
        task.snapshotWritten?.();
        objects?.offer(snapshots);
      })
      .catch((error: unknown) => {
        this.failure = { error };
      })
      .finally(() => {
        this.writing = null;
      });
  }
}
