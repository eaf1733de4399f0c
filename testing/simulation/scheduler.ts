import { setImmediate as eventLoop } from 'node:timers/promises';
import type { RuntimeClock, Wait } from '../../streams/runtime/clock.js';
import { TidemillError } from '../../contracts/errors.js';
import type { SeededRandom } from './random.js';

/** Whose steps are taken: one life of a process. A paused one takes none, and a dead one never again. */
export interface Actor {
  readonly name: string;
  state: 'running' | 'paused' | 'dead';
}

interface Step {
  readonly actor: Actor;
  readonly label: string;
  readonly take: () => void;
}

interface Timer {
  readonly at: number;
  readonly step: Step;
}

/** Steps without an end: more than any test takes between two looks. */
const MAX_STEPS = 5_000_000;

/**
 * Takes the steps of many processes one at a time, in an order that it chooses, on a clock of its own.
 *
 *   process one   fold ── point ─ ─ ─ ─ ─ ─ ─ ─ ─ commit ── point …
 *   process two            ─ ─ ─ fold ── point ─ ─ ─ ─ ─ ─ ─ ─ ─ ─
 *
 * A process stops at every call of the log, every turn of its event loop and every wait; nothing moves until one of them is
 * let go. So a run is a function of the choices alone, and a process that is never let go again has died at that very point.
 */
export class Scheduler {
  private ready: Step[] = [];
  /** By time, those of equal time in the order in which they were set. */
  private timers: Timer[] = [];
  private inFlight = 0;
  private taken = 0;
  /** Chooses the next step; null: the oldest. */
  random: SeededRandom | null = null;
  /** Told of every step, where somebody wants to compare runs. */
  onStep: ((label: string) => void) | null = null;

  constructor(private time: number) {}

  /** Wall clock and monotonic clock in one, ms UTC. */
  get now(): number {
    return this.time;
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.taken;
  }

  /** Stops here until it is this step's turn. */
  point(actor: Actor, label: string): Promise<void> {
    return new Promise((take) => this.ready.push({ actor, label, take }));
  }

  /** The clock of one process. */
  clockOf(actor: Actor): RuntimeClock {
    return {
      now: () => this.time,
      turn: () => this.point(actor, 'turn'),
      wait: (ms) => this.wait(actor, ms),
    };
  }

  wait(actor: Actor, ms: number, label = 'wait'): Wait {
    let timer: Timer | null = null;
    let end = (): void => undefined;
    const over = new Promise<void>((take) => {
      const step: Step = { actor, label, take };
      if (Number.isFinite(ms)) timer = this.setTimer(this.time + Math.max(0, ms), step);
      let isEnded = false;
      end = () => {
        if (isEnded) return;
        isEnded = true;
        if (timer !== null) {
          const at = this.timers.indexOf(timer);
          // It has rung, and its step is taken some time.
          if (at === -1) return;
          this.timers.splice(at, 1);
        }
        this.ready.push(step);
      };
    });
    return { over, end };
  }

  private setTimer(at: number, step: Step): Timer {
    const timer = { at, step };
    let place = this.timers.length;
    while (place > 0 && (this.timers[place - 1] as Timer).at > at) place--;
    this.timers.splice(place, 0, timer);
    return timer;
  }

  /** Counts real work outside of the process (inference, files): until it is done nobody else takes a step. */
  async working<T>(work: Promise<T>): Promise<T> {
    this.inFlight++;
    try {
      return await work;
    } finally {
      this.inFlight--;
    }
  }

  /** Takes one step; false where there is none to take. */
  async step(): Promise<boolean> {
    this.ready = this.ready.filter(({ actor }) => actor.state !== 'dead');
    const takeable: number[] = [];
    for (const [at, { actor }] of this.ready.entries()) {
      if (actor.state !== 'running') continue;
      takeable.push(at);
      if (this.random === null) break;
    }
    if (takeable.length === 0) return false;
    const chosen = this.random === null ? (takeable[0] as number) : this.random.pick(takeable);
    const [step] = this.ready.splice(chosen, 1) as [Step];
    if (++this.taken > MAX_STEPS) throw stuck(`${MAX_STEPS} steps did not come to rest; the last was ${step.label}`);
    this.onStep?.(`${this.time} ${step.actor.name}: ${step.label}`);
    step.take();
    await this.quiet();
    return true;
  }

  /** Takes steps until there are none to take without time passing. */
  async rest(): Promise<void> {
    await this.quiet();
    while (await this.step());
  }

  /** Takes steps, and lets time pass where there are none, until `work` is done. */
  async until<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = work.finally(() => (isDone = true));
    // Whoever awaits the outcome below hears of a failure.
    done.catch(() => undefined);
    await this.quiet();
    for (;;) {
      if (isDone) return done;
      if ((await this.step()) || this.passToNextTimer()) continue;
      throw stuck('nothing can move any more');
    }
  }

  /** Lets time pass to the next wait that ends; false where there is none. */
  passToNextTimer(limit = Number.POSITIVE_INFINITY): boolean {
    this.timers = this.timers.filter(({ step }) => step.actor.state !== 'dead');
    const next = this.timers[0];
    if (next === undefined || next.at > limit) return false;
    this.jumpTo(next.at);
    return true;
  }

  /** Lets time pass at once: what ends meanwhile ends late, in order. */
  jumpTo(time: number): void {
    this.time = Math.max(this.time, time);
    while (this.timers.length > 0 && (this.timers[0] as Timer).at <= this.time)
      this.ready.push((this.timers.shift() as Timer).step);
  }

  /** Lets time pass from one wait to the next; everything that it starts is done in its own time. */
  async advance(ms: number): Promise<void> {
    const until = this.time + ms;
    do await this.rest();
    while (this.passToNextTimer(until));
    this.jumpTo(until);
    await this.rest();
  }

  /** Whatever was let go has run up to its next point. */
  private async quiet(): Promise<void> {
    // Promises are settled to the last one before the event loop comes round.
    do await eventLoop();
    while (this.inFlight > 0);
  }
}

export function stuck(message: string): TidemillError {
  return new TidemillError('TEST_STUCK', message);
}
