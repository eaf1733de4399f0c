import {
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  patched,
  startChild,
} from '@temporalio/workflow';
import { recoverId } from '../contracts/rollout.js';
import { SIGNAL_GRANTED } from '../contracts/workflows.js';
import { waiting } from './activityProxies.js';
import { recoverRollout } from './recoverRollout.js';
import type { RolloutLease } from './rolloutLease.js';

/** A lease, and what watching it needs of its lifecycle. */
export interface WatchedLease {
  readonly model: string;
  readonly project: string;
  readonly lease: RolloutLease;
  readonly show: () => void;
  /** Part of the id of the next child. */
  readonly nextChild: () => string;
}

/** Who rolls out, or back, is watched: whatever ends without a word is recovered. Runs until the lifecycle's run ends. */
export function leaseWatches({ model, project, lease, show, nextChild }: WatchedLease): {
  /** Watches whoever holds the lease, and tells it where it is superseded, and who waited where it is displaced. */
  readonly watchHolders: () => void;
  readonly watchRollback: (workflowId: string) => void;
} {
  /** A holder that ends without letting go is recovered: what it left behind is undone, or carried to its end. */
  const recoverHolders = async (): Promise<void> => {
    for (;;) {
      await condition(() => lease.holder !== null);
      const watched = lease.holder?.workflowId ?? '';
      await waiting().awaitClosed(watched);
      // Its last words may still be on their way; then there is nothing to recover, which the recovery finds out.
      if (lease.holder?.workflowId !== watched) continue;
      const workflowId = recoverId(project, model, nextChild());
      lease.holder = { workflowId, trigger: 'recovery' };
      show();
      await startChild(recoverRollout, {
        workflowId,
        args: [{ model, workflowId: watched }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
      });
    }
  };

  /** Tells a holder to step aside: it undoes itself, unless it has committed. */
  const tellSuperseded = async (): Promise<void> => {
    for (;;) {
      await condition(() => lease.superseding !== null);
      const target = lease.superseding ?? '';
      lease.superseding = null;
      try {
        await getExternalWorkflowHandle(target).cancel();
      } catch {
        // It has ended: the lease is free, or about to be recovered.
      }
    }
  };

  /** Tells who waited, and was displaced, to ask again: it is refused, and need not wait for ever. */
  const tellDisplaced = async (): Promise<void> => {
    for (;;) {
      await condition(() => lease.untold.length > 0);
      const { untold } = lease;
      lease.untold = [];
      // Runs of before told nobody.
      if (!patched('displaced-are-told')) continue;
      for (const target of untold) {
        try {
          await getExternalWorkflowHandle(target).signal(SIGNAL_GRANTED);
        } catch {
          // It has ended: nobody asks any more.
          lease.forget(target);
        }
      }
    }
  };

  /** A rollback that ends without closing is finished, and so is whoever finishes it. */
  const finishRollback = async (begun: string): Promise<void> => {
    for (let watched = begun; ;) {
      await waiting().awaitClosed(watched);
      const rollback = lease.rollbacks.find((each) => each.workflowId === watched)?.intent;
      if (rollback === undefined) return;
      const workflowId = recoverId(project, model, nextChild());
      lease.handOver(watched, workflowId);
      show();
      await startChild(recoverRollout, {
        workflowId,
        args: [{ model, workflowId: watched, rollback }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
      });
      watched = workflowId;
    }
  };

  const untilTheEnd = (loop: Promise<void>): void => {
    loop.catch((error: unknown) => {
      // It ends with the workflow; anything else must be seen.
      if (!isCancellation(error)) throw error;
    });
  };
  return {
    watchHolders: () => {
      untilTheEnd(recoverHolders());
      untilTheEnd(tellSuperseded());
      untilTheEnd(tellDisplaced());
    },
    watchRollback: (workflowId) => {
      untilTheEnd(finishRollback(workflowId));
    },
  };
}
