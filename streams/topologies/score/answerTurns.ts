/** How a task's inputs stand when time has passed. */
export interface InputsAtRest {
  /** Nothing more is there to be read, and nobody upstream is behind. */
  readonly isQuiet: boolean;
  /** Of the streams beside the rows all that is there has been folded. */
  readonly isFed: boolean;
}

/**
 * Up to which event time rows are answered. In `arrival` mode each is answered when it comes; in `ordered` mode it waits:
 *
 *   horizon P   the least progress of the upstream tasks, and of the partitions of other streams
 *   fired F     event time up to which rows were let go because of time that passed; committed with the offsets
 *   answered    a row is answered as soon as, and only if, its time <= max(P, F)
 *
 * P is a function of the offsets, so whoever takes over knows from offsets and F what has been answered.
 */
export class AnswerTurns {
  /** Greatest progress that the upstream tasks have had together: who wakes late does not take it back. */
  private upstreamProgress = Number.NEGATIVE_INFINITY;
  /** F; undefined in `arrival` mode, in which nothing waits. */
  private fired: number | undefined;
  /** What was committed, from the start of a recovery until it is over. */
  private committedFired: number | null | undefined;
  private live = false;
  /** Wall time in which nobody had more to read, ms. */
  private quietMs = 0;
  private wasQuiet = false;

  constructor(isOrdered: boolean) {
    if (isOrdered) this.fired = Number.NEGATIVE_INFINITY;
  }

  /** P, but for the other streams. */
  get horizon(): number {
    return this.upstreamProgress;
  }

  /** The upstream tasks have come so far. */
  observe(progress: number): void {
    this.upstreamProgress = Math.max(this.upstreamProgress, progress);
  }

  get isLive(): boolean {
    return this.live;
  }

  /** Do rows wait? In `arrival` mode those alone do that had waited when the mode was another one. */
  get waits(): boolean {
    return this.fired !== undefined || (!this.live && this.committedFired !== undefined);
  }

  /**
   * Up to this time every row has been answered.
   *
   * @param ofStreams least progress of the partitions of other streams; Infinity where there are none.
   */
  answeredThrough(ofStreams: number): number {
    if (!this.waits) return Number.POSITIVE_INFINITY;
    const horizon = Math.min(this.upstreamProgress, ofStreams);
    if (this.live) return Math.max(horizon, this.fired as number);
    // Before there was such a time everything that had been read was answered.
    return Math.max(
      horizon,
      this.committedFired === undefined ? Number.POSITIVE_INFINITY : (this.committedFired ?? horizon),
    );
  }

  /** F as it is committed: undefined in `arrival` mode. */
  get firedThrough(): number | null | undefined {
    return this.fired === undefined || Number.isFinite(this.fired) ? this.fired : null;
  }

  /** What was committed of F. */
  resume(firedThrough: number | null | undefined): void {
    this.committedFired = firedThrough;
  }

  /**
   * From here on rows are answered.
   *
   * @param greatest greatest time of a row; rows of before F was kept are at most so late.
   */
  goLive(greatest: number): void {
    this.live = true;
    if (this.fired === undefined) return;
    const before = this.committedFired === undefined ? greatest : this.committedFired;
    this.fired = Math.max(this.fired, before ?? Number.NEGATIVE_INFINITY);
  }

  /**
   * Time has passed. A stream of few events must not hold up anybody: once what it has is folded rows wait for the upstream
   * tasks alone.
   *
   * @returns how long rows have waited in which nobody had more to read, ms
   */
  pass(elapsedMs: number, { isQuiet, isFed }: InputsAtRest): number {
    if (isFed && this.fired !== undefined) this.fired = Math.max(this.fired, this.upstreamProgress);
    if (isQuiet && this.wasQuiet) this.quietMs += elapsedMs;
    this.wasQuiet = isQuiet;
    return this.quietMs;
  }

  /** Rows up to this time have waited for long enough. */
  fire(through: number): void {
    if (this.fired !== undefined) this.fired = Math.max(this.fired, through);
  }

  /** Of a snapshot. */
  decode(horizon: number | null): void {
    this.upstreamProgress = horizon ?? Number.NEGATIVE_INFINITY;
  }
}
