import { setTimeout as sleep } from 'node:timers/promises';
import { isTidemillError, messageOf } from '../contracts/errors.js';

/** Reaches a server: what `act` does first with it is done again while nobody answers there. */
export type ReachServer = <T>(server: string, act: () => Promise<T>) => Promise<T>;

export interface AwaitServersOptions {
  /** How long all servers together are waited for, ms. 0: not at all. */
  readonly waitMs: number;
  /** Told now and then while one is waited for. */
  readonly onWaiting: (waiting: { readonly server: string; readonly problem: string; readonly leftMs: number }) => void;
  /** Monotonic, ms. @default performance.now */
  readonly now?: () => number;
  /** @default 500 */
  readonly retryMs?: number;
}

const RETRY_MS = 500;
/** Between two lines about a server that does not answer. */
const TELL_MS = 5_000;

/**
 * For a worker that starts, perhaps before its servers: whatever starts them all at once starts them in no order. What a server
 * refuses is not tried again, and neither is what goes wrong later on: by then each part of a worker knows what to do.
 *
 * A signal ends the process at once: nothing runs yet. Node.js as the first process of a container would ignore it.
 */
export function createReachServer(options: AwaitServersOptions): ReachServer {
  const { waitMs, onWaiting, now = () => performance.now(), retryMs = RETRY_MS } = options;
  const startedAt = now();
  let toldAt = Number.NEGATIVE_INFINITY;
  return async (server, act) => {
    for (;;) {
      try {
        return await untilSignal(act);
      } catch (error) {
        const leftMs = Math.round(startedAt + waitMs - now());
        if (!isAway(error) || leftMs <= 0) throw error;
        if (now() - toldAt >= TELL_MS) {
          toldAt = now();
          onWaiting({ server, problem: messageOf(error), leftMs });
        }
        await untilSignal(() => sleep(Math.min(retryMs, leftMs)));
      }
    }
  };
}

async function untilSignal<T>(act: () => Promise<T>): Promise<T> {
  const end = (): void => process.exit(0);
  process.on('SIGTERM', end).on('SIGINT', end);
  try {
    return await act();
  } finally {
    process.off('SIGTERM', end).off('SIGINT', end);
  }
}

/** Does nobody answer? One who answers and refuses will do so again. */
function isAway(error: unknown): boolean {
  if (isTidemillError(error, 'REGISTRY_UNAVAILABLE')) return error.details['problem'] !== 'refused';
  return (
    isTidemillError(error, 'LOG_UNAVAILABLE') ||
    isTidemillError(error, 'ONLINE_UNAVAILABLE') ||
    isTidemillError(error, 'TEMPORAL_UNAVAILABLE')
  );
}
