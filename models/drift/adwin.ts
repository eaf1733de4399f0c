/**
 * ADWIN: a window over a series that shrinks when its older and its newer part differ in mean.
 *
 *   older part W0   |   newer part W1          cut where |mean(W0) - mean(W1)| > epsilon
 *
 * The window is kept as an exponential histogram: per level i up to five buckets of 2^i values, each with sum and
 * variance. Source: A. Bifet and R. Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing" (2007); details
 * (checks every 32 values, at least 5 values in each part) as in River 0.26, against whose detections it is tested.
 */
export interface AdwinOptions {
  /** Confidence of a cut. @default 0.002 */
  readonly delta?: number;
  /** Cuts are looked for every so many values. @default 32 */
  readonly clock?: number;
}

interface Level {
  totals: number[];
  variances: number[];
}

const MAX_BUCKETS = 5;
const MIN_PART = 5;
const GRACE = 10;

export interface AdwinState {
  readonly levels: readonly Level[];
  readonly width: number;
  readonly total: number;
  readonly variance: number;
  readonly ticks: number;
}

export class Adwin {
  private readonly delta: number;
  private readonly clock: number;
  private levels: Level[] = [{ totals: [], variances: [] }];
  private widthValue = 0;
  private totalValue = 0;
  private varianceValue = 0;
  private ticks = 0;

  constructor(options: AdwinOptions = {}) {
    this.delta = options.delta ?? 0.002;
    this.clock = options.clock ?? 32;
  }

  /** Values in the window: after a detection those since the estimated change. */
  get width(): number {
    return this.widthValue;
  }
  get total(): number {
    return this.totalValue;
  }
  /** Variance of the window's values. */
  get variance(): number {
    return this.widthValue === 0 ? 0 : this.varianceValue / this.widthValue;
  }
  get mean(): number {
    return this.widthValue === 0 ? 0 : this.totalValue / this.widthValue;
  }

  /** Adds a value; true where the window was cut. */
  update(value: number): boolean {
    this.insert(value);
    this.ticks++;
    if (this.ticks % this.clock !== 0 || this.widthValue <= GRACE) return false;
    let isCut = false;
    while (this.hasCut()) {
      isCut = true;
      this.dropOldest();
    }
    return isCut;
  }

  private insert(value: number): void {
    const first = this.levels[0] as Level;
    first.totals.push(value);
    first.variances.push(0);
    this.widthValue++;
    if (this.widthValue > 1) {
      const away = value - this.totalValue / (this.widthValue - 1);
      this.varianceValue += ((this.widthValue - 1) * away * away) / this.widthValue;
    }
    this.totalValue += value;
    this.compress();
  }

  /** Two oldest buckets of a level that is full become one of the next. */
  private compress(): void {
    for (let at = 0; at < this.levels.length; at++) {
      const level = this.levels[at] as Level;
      if (level.totals.length <= MAX_BUCKETS) return;
      const size = 2 ** at;
      const [a, b] = level.totals.splice(0, 2) as [number, number];
      const [va, vb] = level.variances.splice(0, 2) as [number, number];
      const apart = a / size - b / size;
      const next = (this.levels[at + 1] ??= { totals: [], variances: [] });
      next.totals.push(a + b);
      next.variances.push(va + vb + (size * size * apart * apart) / (2 * size));
    }
  }

  private hasCut(): boolean {
    let n0 = 0;
    let n1 = this.widthValue;
    let u0 = 0;
    let u1 = this.totalValue;
    for (let at = this.levels.length - 1; at >= 0; at--) {
      const { totals } = this.levels[at] as Level;
      const size = 2 ** at;
      for (let bucket = 0; bucket < totals.length; bucket++) {
        n0 += size;
        n1 -= size;
        u0 += totals[bucket] as number;
        u1 -= totals[bucket] as number;
        if (n0 >= MIN_PART && n1 >= MIN_PART && this.differ(n0, n1, u0 / n0 - u1 / n1)) return true;
      }
    }
    return false;
  }

  private differ(n0: number, n1: number, difference: number): boolean {
    const confidence = Math.log((2 * Math.log(this.widthValue)) / this.delta);
    const reciprocal = 1 / (n0 - MIN_PART + 1) + 1 / (n1 - MIN_PART + 1);
    const epsilon = Math.sqrt(2 * reciprocal * this.variance * confidence) + (2 / 3) * confidence * reciprocal;
    return Math.abs(difference) > epsilon;
  }

  private dropOldest(): void {
    const at = this.levels.length - 1;
    const level = this.levels[at] as Level;
    const size = 2 ** at;
    const total = level.totals.shift() as number;
    const variance = level.variances.shift() as number;
    this.widthValue -= size;
    this.totalValue -= total;
    const apart = total / size - this.totalValue / this.widthValue;
    this.varianceValue -= variance + (size * this.widthValue * apart * apart) / (size + this.widthValue);
    if (level.totals.length === 0) this.levels.pop();
  }

  encode(): AdwinState {
    return {
      levels: this.levels.map(({ totals, variances }) => ({ totals: [...totals], variances: [...variances] })),
      width: this.widthValue,
      total: this.totalValue,
      variance: this.varianceValue,
      ticks: this.ticks,
    };
  }

  decode({ levels, width, total, variance, ticks }: AdwinState): void {
    this.levels = levels.map(({ totals, variances }) => ({ totals: [...totals], variances: [...variances] }));
    [this.widthValue, this.totalValue, this.varianceValue, this.ticks] = [width, total, variance, ticks];
  }
}
