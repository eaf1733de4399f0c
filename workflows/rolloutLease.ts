import type { RollbackBegun } from '../contracts/rollout.js';
import type { AcquireAnswer, Displaced, Holder, Paused } from '../contracts/workflows.js';

/**
 * Who may roll out: one holds the lease, one may wait for it, further triggers merge into the waiting one. A rollback asks
 * nobody, and until it has closed nobody rolls out anew. Answers at once; knows no clock and no workflow.
 */
export class RolloutLease {
  /** A holder that somebody asked to step aside, until it has been told. */
  superseding: string | null = null;
  /** Those that waited and were displaced, until they have been told to ask again. */
  untold: readonly string[] = [];

  constructor(
    public holder: Holder | null,
    public queued: Holder | null,
    public paused: Paused | null,
    public rollbacks: readonly RollbackBegun[] = [],
    /** Who waited until another one took its place: refused when it asks again. */
    public displaced: readonly Displaced[] = [],
  ) {}

  /** Nobody holds the lease, and nobody rolls back. */
  get isFree(): boolean {
    return this.holder === null && this.rollbacks.length === 0;
  }

  ask(asking: Holder): AcquireAnswer {
    const { holder, queued, paused } = this;
    const isAutomatic = asking.trigger === 'drift' || asking.trigger === 'schedule';
    if (paused !== null && isAutomatic) return { kind: 'refused', reason: `paused by ${paused.by}: ${paused.reason}` };
    const displaced = this.displaced.find(({ workflowId }) => workflowId === asking.workflowId);
    if (displaced !== undefined) {
      this.forget(asking.workflowId);
      return { kind: 'refused', reason: `${displaced.by} took its place` };
    }
    // It was given the lease, and was about to take it when somebody began to roll back: that comes first.
    if (holder?.isExpected === true && holder.workflowId === asking.workflowId && this.rollbacks.length > 0)
      return { kind: 'queued' };
    if (this.isFree || holder?.workflowId === asking.workflowId) {
      this.holder = asking;
      if (queued?.workflowId === asking.workflowId) this.queued = null;
      return { kind: 'granted' };
    }
    if (asking.supersede === true) {
      // The holder undoes itself, or finishes where it has committed; then the next one is granted.
      this.superseding = holder?.workflowId ?? null;
      if (queued !== null && queued.workflowId !== asking.workflowId) {
        this.untold = [...this.untold, queued.workflowId];
        this.displaced = [...this.displaced, { workflowId: queued.workflowId, by: asking.workflowId }];
      }
      this.queued = asking;
      return { kind: 'queued' };
    }
    if (queued === null || queued.workflowId === asking.workflowId) {
      this.queued = asking;
      return { kind: 'queued' };
    }
    const busy =
      holder === null ? `${this.rollbacks[0]?.workflowId} is rolling back` : `${holder.workflowId} is rolling out`;
    return { kind: 'refused', reason: `${busy} and ${queued.workflowId} waits already` };
  }

  /** A displaced one has asked, or has ended. */
  forget(workflowId: string): void {
    this.displaced = this.displaced.filter((each) => each.workflowId !== workflowId);
  }

  /** A rollback has begun; one that says so again may have found another version to go back to. */
  rollBack(begun: RollbackBegun): void {
    this.rollbacks = [...this.rollbacks.filter(({ workflowId }) => workflowId !== begun.workflowId), begun];
  }

  /** Another workflow finishes a rollback. */
  handOver(from: string, to: string): void {
    this.rollbacks = this.rollbacks.map((each) => (each.workflowId === from ? { ...each, workflowId: to } : each));
  }

  isRollingBack(workflowId: string): boolean {
    return this.rollbacks.some((each) => each.workflowId === workflowId);
  }

  /**
   * Gives a lease that is free to the one that waits: it is the holder from now on, whoever asks before it does. Whoever is
   * returned is to be told; null where there is nobody.
   */
  handToNext(): Holder | null {
    if (this.rollbacks.length > 0) return null;
    if (this.holder === null && this.queued !== null) {
      this.holder = { ...this.queued, isExpected: true };
      this.queued = null;
    }
    return this.holder?.isExpected === true ? this.holder : null;
  }

  /** Who was given the lease has ended before it came for it. False where it had come, or where that is known already. */
  giveUp(workflowId: string): boolean {
    return this.holder?.isExpected === true && this.close(workflowId);
  }

  /** False where somebody else holds the lease: it is none of the closed one's business any more. */
  close(workflowId: string): boolean {
    if (this.isRollingBack(workflowId)) {
      this.rollbacks = this.rollbacks.filter((each) => each.workflowId !== workflowId);
      return true;
    }
    if (this.holder?.workflowId !== workflowId) return false;
    this.holder = null;
    return true;
  }
}
