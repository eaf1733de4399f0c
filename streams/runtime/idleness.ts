import { mayHaveMore, type InputPace, type Passed, type TaskTimers } from './taskTimers.js';

/** Without a record for so long a task announces that it is idle, ms. */
export const IDLE_AFTER_MS = 1_000;

/**
 * Is a source partition idle? Nothing has come for a while, and there is nothing that could be read: a partition that is
 * behind, whose reading is paused, or which goes on behind the end of a replay, is not idle, however long it takes.
 */
export class Idleness {
  private quietMs = 0;
  private wasQuiet = false;
  isIdle = false;

  constructor(
    private readonly topic: string,
    private readonly idleAfterMs: number = IDLE_AFTER_MS,
  ) {}

  /** A record was folded. */
  stir(): void {
    this.quietMs = 0;
    this.wasQuiet = false;
    this.isIdle = false;
  }

  /** How long until it is idle, where nothing comes: 0 says that it has just become so. */
  pass(elapsedMs: number, inputs: readonly InputPace[]): number {
    const isQuiet = !inputs.some((each) => each.topic === this.topic && mayHaveMore(each));
    if (isQuiet && this.wasQuiet) this.quietMs += elapsedMs;
    else this.quietMs = 0;
    this.wasQuiet = isQuiet;
    if (!isQuiet || this.isIdle) return Number.POSITIVE_INFINITY;
    const left = this.idleAfterMs - this.quietMs;
    if (left > 0) return left;
    this.isIdle = true;
    return 0;
  }
}

/** The timers of a task that does nothing because of time but fall idle, which the commit that follows announces. */
export class IdlenessTimers implements TaskTimers {
  readonly firedThrough = undefined;
  readonly waiting = 0;
  readonly early = 0;
  private readonly each: readonly Idleness[];

  constructor(...each: readonly Idleness[]) {
    this.each = each;
  }

  resume(): void {
    // Idleness is announced, never remembered: whoever starts anew finds out anew.
  }

  pass(elapsedMs: number, inputs: readonly InputPace[]): Passed {
    let againInMs = Number.POSITIVE_INFINITY;
    let hasFired = false;
    for (const idleness of this.each) {
      const dueInMs = idleness.pass(elapsedMs, inputs);
      if (dueInMs > 0) againInMs = Math.min(againInMs, dueInMs);
      else hasFired = true;
    }
    return { againInMs, hasFired };
  }
}
