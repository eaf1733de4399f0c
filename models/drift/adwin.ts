import { TidemillError } from '../../contracts/errors.js';
import type { ChangeDetection, ChangeDetector } from './detector.js';
import { decodeNumbers, encodeNumbers, numbersOfDetection } from './stateBytes.js';

/**
 * ADWIN (Bifet and Gavaldà, 2007): a window that grows while its values look alike and drops its old end when two parts
 * of it differ by more than chance allows. Row r of its histogram holds up to `maxBuckets` sums of 2^r values, newest
 * in row 0; when a row overflows its two oldest merge into the next row, so memory grows with the logarithm.
 *
 *     oldest                                                newest
 *     row 2: [8 9 . .]   row 1: [. .] [. .]   row 0: [.] [.] [.]
 *     W0 ------------------------------ | W1 -----------------
 *                                       ^ cut: |mean(W0) - mean(W1)| > epsilon
 *
 * Detections are those of River 0.26 (`drift.ADWIN`); as there, the window starts anew with the value after a detection.
 */
export interface AdwinOptions {
  /** Chance of a false alarm per test; smaller is calmer. @default 0.002 */
  readonly delta?: number;
  /** Cuts are tried every so many values. @default 32 */
  readonly clock?: number;
  /** Buckets of a row before two merge. @default 5 */
  readonly maxBuckets?: number;
  /** Least values on each side of a cut. @default 5 */
  readonly minWindowLength?: number;
  /** Values before the first cut is tried. @default 10 */
  readonly gracePeriod?: number;
}

export interface Adwin extends ChangeDetector {
  /** Values in the window. */
  readonly width: number;
  readonly total: number;
  /** Sum of squared deviations from the mean of the window. */
  readonly variance: number;
  /** NaN of an empty window. */
  readonly mean: number;
}

/** Adwin state, format 1. */
const FORMAT = 0x0ad101;
/** 2^47 values: more than any series. */
const MAX_ROWS = 48;

/** @throws TidemillError DEFINITION_INVALID */
export function createAdwin(options: AdwinOptions = {}): Adwin {
  return new BucketWindow(parametersOf(options));
}

/** @throws TidemillError STATE_CORRUPT */
export function decodeAdwin(bytes: Uint8Array): Adwin {
  return BucketWindow.decode(bytes);
}

type Parameters = Required<AdwinOptions>;

function parametersOf(options: AdwinOptions): Parameters {
  const { delta = 0.002, clock = 32, maxBuckets = 5, minWindowLength = 5, gracePeriod = 10 } = options;
  if (!(delta > 0 && delta < 1)) throw invalid('delta', delta, 'between 0 and 1');
  for (const [name, value] of Object.entries({ clock, maxBuckets, minWindowLength })) {
    if (!Number.isSafeInteger(value) || value < 1) throw invalid(name, value, 'a whole number of at least 1');
  }
  if (!Number.isSafeInteger(gracePeriod) || gracePeriod < 0)
    throw invalid('gracePeriod', gracePeriod, 'a whole number');
  return { delta, clock, maxBuckets, minWindowLength, gracePeriod };
}

function invalid(name: string, value: number, wanted: string): TidemillError {
  return new TidemillError('DEFINITION_INVALID', `adwin.${name}: ${value} is not ${wanted}`, { [name]: value });
}

class BucketWindow implements Adwin {
  count = 0;
  width = 0;
  total = 0;
  variance = 0;
  detection: ChangeDetection | null = null;
  private tick = 0;
  private rows = 1;
  /** Buckets in each row; bucket b of row r is at r * stride + b, oldest first. */
  private readonly sizes = new Int32Array(MAX_ROWS);
  private readonly stride: number;
  private readonly totals: Float64Array;
  private readonly variances: Float64Array;

  constructor(private readonly parameters: Parameters) {
    this.stride = parameters.maxBuckets + 1;
    this.totals = new Float64Array(MAX_ROWS * this.stride);
    this.variances = new Float64Array(MAX_ROWS * this.stride);
  }

  get mean(): number {
    return this.total / this.width;
  }

  update(value: number): boolean {
    if (this.detection !== null) this.reset();
    this.insert(value);
    this.count++;
    this.tick++;
    if (this.tick % this.parameters.clock !== 0 || this.width <= this.parameters.gracePeriod) return false;
    if (!this.differs()) return false;
    this.detection = this.strongestCut();
    do this.dropOldest();
    while (this.differs());
    return true;
  }

  private reset(): void {
    this.width = 0;
    this.total = 0;
    this.variance = 0;
    this.detection = null;
    this.tick = 0;
    this.rows = 1;
    this.sizes.fill(0);
  }

  private insert(value: number): void {
    this.push(0, value, 0);
    if (this.width > 0) {
      const deviation = value - this.total / this.width;
      this.variance += (this.width * deviation * deviation) / (this.width + 1);
    }
    this.width++;
    this.total += value;
    this.merge();
  }

  private push(row: number, total: number, variance: number): void {
    const size = this.sizes[row] as number;
    this.totals[row * this.stride + size] = total;
    this.variances[row * this.stride + size] = variance;
    this.sizes[row] = size + 1;
  }

  /** Merges the two oldest buckets of every row that overflows. */
  private merge(): void {
    for (let row = 0; (this.sizes[row] as number) > this.parameters.maxBuckets; row++) {
      const first = row * this.stride;
      const length = 2 ** row;
      const total0 = this.totals[first] as number;
      const total1 = this.totals[first + 1] as number;
      const difference = total0 / length - total1 / length;
      const between = (length * length * difference * difference) / (length + length);
      const variance = (this.variances[first] as number) + (this.variances[first + 1] as number) + between;
      if (row + 1 === this.rows) this.rows++;
      this.push(row + 1, total0 + total1, variance);
      this.removeOldest(row, 2);
    }
  }

  private removeOldest(row: number, buckets: number): void {
    const first = row * this.stride;
    const end = first + (this.sizes[row] as number);
    this.totals.copyWithin(first, first + buckets, end);
    this.variances.copyWithin(first, first + buckets, end);
    this.sizes[row] = (this.sizes[row] as number) - buckets;
  }

  private dropOldest(): void {
    const row = this.rows - 1;
    const length = 2 ** row;
    const total = this.totals[row * this.stride] as number;
    const variance = this.variances[row * this.stride] as number;
    this.width -= length;
    this.total -= total;
    const difference = total / length - this.total / this.width;
    this.variance -= variance + (length * this.width * difference * difference) / (length + this.width);
    this.removeOldest(row, 1);
    while (this.rows > 1 && this.sizes[this.rows - 1] === 0) this.rows--;
  }

  /** Whether a cut divides the window into parts that differ, tried from the old end. */
  private differs(): boolean {
    const least = this.parameters.minWindowLength;
    const spread = this.spread();
    let n0 = 0;
    let n1 = this.width;
    let sum0 = 0;
    let sum1 = this.total;
    for (let row = this.rows - 1; row >= 0; row--) {
      const length = 2 ** row;
      const tried = this.sizes[row] as number;
      for (let bucket = 0; bucket < tried; bucket++) {
        const total = this.totals[row * this.stride + bucket] as number;
        n0 += length;
        n1 -= length;
        sum0 += total;
        sum1 -= total;
        if (n0 < least || n1 < least) continue;
        if (Math.abs(sum0 / n0 - sum1 / n1) > this.epsilon(n0, n1, spread)) return true;
      }
    }
    return false;
  }

  private spread(): { readonly variance: number; readonly confidence: number } {
    return {
      variance: this.variance / this.width,
      confidence: Math.log((2 * Math.log(this.width)) / this.parameters.delta),
    };
  }

  /** The greatest difference of means that chance explains. */
  private epsilon(n0: number, n1: number, spread: { variance: number; confidence: number }): number {
    const least = this.parameters.minWindowLength;
    const reciprocal = 1 / (n0 - least + 1) + 1 / (n1 - least + 1);
    const { variance, confidence } = spread;
    return Math.sqrt(2 * reciprocal * variance * confidence) + (2 / 3) * confidence * reciprocal;
  }

  /**
   * The cut that exceeds its bound by the greatest factor, over every border of two buckets: the estimate of the onset.
   * The borders' distance is the precision, about a sixth of the age.
   */
  private strongestCut(): ChangeDetection {
    const least = this.parameters.minWindowLength;
    const spread = this.spread();
    const first = this.count - this.width;
    let best: ChangeDetection | null = null;
    let n0 = 0;
    let sum0 = 0;
    for (let row = this.rows - 1; row >= 0; row--) {
      for (let bucket = 0; bucket < (this.sizes[row] as number); bucket++) {
        n0 += 2 ** row;
        sum0 += this.totals[row * this.stride + bucket] as number;
        const n1 = this.width - n0;
        if (n0 < least || n1 < least) continue;
        const before = sum0 / n0;
        const after = (this.total - sum0) / n1;
        const statistic = Math.abs(before - after);
        const threshold = this.epsilon(n0, n1, spread);
        if (best === null || statistic / threshold > best.statistic / best.threshold) {
          best = { index: this.count - 1, onset: first + n0, before, after, statistic, threshold };
        }
      }
    }
    if (best === null) throw new Error('invariant broken: a window that differs has a cut');
    return best;
  }

  encode(): Uint8Array {
    const { delta, clock, maxBuckets, minWindowLength, gracePeriod } = this.parameters;
    const numbers = [delta, clock, maxBuckets, minWindowLength, gracePeriod];
    numbers.push(this.count, this.tick, this.width, this.total, this.variance, ...numbersOfDetection(this.detection));
    numbers.push(this.rows);
    for (let row = 0; row < this.rows; row++) {
      const size = this.sizes[row] as number;
      numbers.push(size);
      for (let at = row * this.stride; at < row * this.stride + size; at++) {
        numbers.push(this.totals[at] as number, this.variances[at] as number);
      }
    }
    return encodeNumbers(FORMAT, numbers);
  }

  static decode(bytes: Uint8Array): BucketWindow {
    const reader = decodeNumbers(FORMAT, 'adwin', bytes);
    const [delta, clock, maxBuckets, minWindowLength, gracePeriod] = Array.from({ length: 5 }, () =>
      reader.number(),
    ) as [number, number, number, number, number];
    const window = new BucketWindow({ delta, clock, maxBuckets, minWindowLength, gracePeriod });
    window.count = reader.number();
    window.tick = reader.number();
    window.width = reader.number();
    window.total = reader.number();
    window.variance = reader.number();
    window.detection = reader.detection();
    window.rows = reader.whole(MAX_ROWS);
    for (let row = 0; row < window.rows; row++) {
      const size = reader.whole(maxBuckets);
      for (let bucket = 0; bucket < size; bucket++) window.push(row, reader.number(), reader.number());
    }
    reader.done();
    return window;
  }
}
