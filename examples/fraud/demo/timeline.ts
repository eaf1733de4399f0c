import { DAY_MS } from '../../../contracts/duration.js';
import { GENERATOR_START } from '../generator/generateFraud.js';

/** Prints what happens, with the seconds since the start; and progress, in place on a terminal. */
export class Timeline {
  private readonly started = performance.now();
  private hasProgress = false;

  constructor(private readonly isTerminal = process.stderr.isTTY) {}

  get seconds(): number {
    return (performance.now() - this.started) / 1_000;
  }

  say(text: string): void {
    this.clear();
    process.stderr.write(`${this.clock()}  ${text}\n`);
  }

  progress(text: string): void {
    if (!this.isTerminal) return;
    process.stderr.write(`\r\x1b[2K${this.clock()}  ${text}`);
    this.hasProgress = true;
  }

  private clear(): void {
    if (this.hasProgress) process.stderr.write('\r\x1b[2K');
    this.hasProgress = false;
  }

  private clock(): string {
    const seconds = Math.floor(this.seconds);
    return `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}

/** A moment of event time as people of the demo know it: `day 68.4`. */
export function dayOf(time: number): string {
  return `day ${((time - GENERATOR_START) / DAY_MS).toFixed(1)}`;
}
