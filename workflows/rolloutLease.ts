import type { AcquireAnswer, Holder, Paused } from '../contracts/workflows.js';

/**
 * Who may roll out: one holds the lease, one may wait for it, further triggers merge into the waiting one. Answers at
 * once; knows no clock and no workflow.
 */
export class RolloutLease {
  /** A holder that somebody asked to step aside, until it has been told. */
  superseding: string | null = null;

  constructor(
    public holder: Holder | null,
    public queued: Holder | null,
    public paused: Paused | null,
  ) {}

  ask(asking: Holder): AcquireAnswer {
    const { holder, queued, paused } = this;
    const isAutomatic = asking.trigger === 'drift' || asking.trigger === 'schedule';
    if (paused !== null && isAutomatic) return { kind: 'refused', reason: `paused by ${paused.by}: ${paused.reason}` };
    if (holder === null || holder.workflowId === asking.workflowId) {
      this.holder = asking;
      if (queued?.workflowId === asking.workflowId) this.queued = null;
      return { kind: 'granted' };
    }
    if (asking.supersede === true) {
      // The holder undoes itself, or finishes where it has committed; then the next one is granted.
      this.superseding = holder.workflowId;
      this.queued = asking;
      return { kind: 'queued' };
    }
    if (queued === null || queued.workflowId === asking.workflowId) {
      this.queued = asking;
      return { kind: 'queued' };
    }
    return { kind: 'refused', reason: `${holder.workflowId} is rolling out and ${queued.workflowId} waits already` };
  }

  /** False where somebody else holds the lease: it is none of the closed one's business any more. */
  close(workflowId: string): boolean {
    if (this.holder?.workflowId !== workflowId) return false;
    this.holder = null;
    return true;
  }
}
