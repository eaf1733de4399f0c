/**
 * Sum of the doubles in a moving window without ever subtracting (1e16 + 1 - 1e16 is not 1): suffix sums of the events
 * before `middle`, a running sum of those from `middle` on. Once the window has left `middle` behind, suffix sums are
 * built anew from what is in it: every event is added at most twice.
 */
export class DoubleQueue {
  private middle = 0;
  private back = 0;
  /** suffix[i - base] = sum of events i … middle - 1. */
  private suffix: Float64Array = EMPTY;
  private base = 0;

  reset(at: number): void {
    this.middle = at;
    this.base = at;
    this.back = 0;
    this.suffix = EMPTY;
  }

  push(value: number): void {
    this.back += value;
  }

  /** @param rows numbers of all events, `stride` each; that at `column` is summed. */
  sum(rows: readonly number[], stride: number, column: number, lo: number, hi: number): number {
    if (lo > this.middle) this.rebuild(rows, stride, column, lo, hi);
    return (lo < this.middle ? (this.suffix[lo - this.base] as number) : 0) + this.back;
  }

  private rebuild(rows: readonly number[], stride: number, column: number, lo: number, hi: number): void {
    if (this.suffix.length < hi - lo) this.suffix = new Float64Array((hi - lo) * 2);
    let sum = 0;
    for (let at = hi - 1; at >= lo; at--) {
      const value = rows[at * stride + column] as number;
      if (value === value) sum += value;
      this.suffix[at - lo] = sum;
    }
    this.base = lo;
    this.middle = hi;
    this.back = 0;
  }

  shift(by: number): void {
    this.middle -= by;
    this.base -= by;
  }
}

const EMPTY = new Float64Array(0);
