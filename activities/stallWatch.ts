import { formatDuration } from '../contracts/duration.js';

/** Notices that stream time stands still: nothing has gone on for `stallAfterMs` of wall time. */
export class StallWatch {
  private seenAt: number;
  private seen: string | null = null;

  /** @param nowMs a clock that never goes back. */
  constructor(
    private readonly stallAfterMs: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.seenAt = nowMs();
  }

  /** @param progress how far things are: anything that is another number once they go on. */
  isStalled(...progress: readonly (number | null)[]): boolean {
    const now = this.nowMs();
    const seen = JSON.stringify(progress);
    if (seen !== this.seen) {
      this.seen = seen;
      this.seenAt = now;
    }
    return now - this.seenAt >= this.stallAfterMs;
  }

  get reason(): string {
    return `stalled: stream time has not gone on for ${formatDuration(this.stallAfterMs)}`;
  }
}
