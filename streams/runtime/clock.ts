import { setImmediate as eventLoop } from 'node:timers/promises';

/**
 * Time and turns of the runtime. Nothing of the fold sees it: it decides when tasks commit, snapshot and try again, never what
 * they compute. A test driver puts one of its own in place, which moves only when it is told to.
 */
export interface RuntimeClock {
  /** Monotonic, ms. */
  now(): number;
  /** Lets everything else in the process have its turn. */
  turn(): Promise<void>;
  /** A wait that is over after `ms`, or as soon as it is ended. Infinity: only then. */
  wait(ms: number): Wait;
}

export interface Wait {
  readonly over: Promise<void>;
  /** Ends the wait; a second call changes nothing. */
  readonly end: () => void;
}

/** The clock and the event loop of the process. */
export const processClock: RuntimeClock = {
  now: () => performance.now(),
  turn: () => eventLoop(),
  wait: (ms) => {
    let end = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(resolve, Math.max(1, ms)) : null;
      end = () => {
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });
    return { over, end };
  },
};
