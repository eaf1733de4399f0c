import { TidemillError } from '../../contracts/errors.js';
import type { ChangeDetection, ChangeDetector } from './detector.js';
import { decodeNumbers, encodeNumbers, numbersOfDetection } from './stateBytes.js';

/**
 * The test of Page (1954) and Hinkley: deviations from the running mean are summed; when the sum has risen by more than
 * the threshold above its least value, the mean rose, and falls likewise.
 *
 *     d = x - mean (x included)      up   = alpha up   + d - delta,  rises when up - min(up) > threshold
 *                                    down = alpha down + d + delta,  falls when max(down) - down > threshold
 *
 * The onset is the value after the one at which the sum had its least (greatest) value. Detections are those of River
 * 0.26 (`drift.PageHinkley`); after one the test starts anew with the next value.
 */
export interface PageHinkleyOptions {
  /** Values before the first detection. @default 30 */
  readonly minInstances?: number;
  /** Change of the mean that does not matter. @default 0.005 */
  readonly delta?: number;
  /** @default 50 */
  readonly threshold?: number;
  /** What remains of a sum with each value. @default 0.9999 */
  readonly alpha?: number;
  /** @default 'both' */
  readonly mode?: 'up' | 'down' | 'both';
}

/** Page-Hinkley state, format 1. */
const FORMAT = 0x0b4101;
const MODES = ['up', 'down', 'both'] as const;

/** @throws TidemillError DEFINITION_INVALID */
export function createPageHinkley(options: PageHinkleyOptions = {}): ChangeDetector {
  const { minInstances = 30, delta = 0.005, threshold = 50, alpha = 0.9999, mode = 'both' } = options;
  for (const [name, value, fits] of [
    ['minInstances', minInstances, Number.isSafeInteger(minInstances) && minInstances >= 1],
    ['delta', delta, delta >= 0],
    ['threshold', threshold, threshold > 0],
    ['alpha', alpha, alpha > 0 && alpha <= 1],
  ] as const) {
    if (!fits) {
      throw new TidemillError('DEFINITION_INVALID', `pageHinkley.${name}: ${value} is out of range`, { [name]: value });
    }
  }
  return new PageHinkley({ minInstances, delta, threshold, alpha, mode });
}

/** @throws TidemillError STATE_CORRUPT */
export function decodePageHinkley(bytes: Uint8Array): ChangeDetector {
  return PageHinkley.decode(bytes);
}

/** Where a sum had its extreme: its value, and count and mean of the values up to there. */
interface Extreme {
  value: number;
  count: number;
  mean: number;
}

class PageHinkley implements ChangeDetector {
  count = 0;
  detection: ChangeDetection | null = null;
  /** Values since the test started. */
  private seen = 0;
  private mean = 0;
  private up = 0;
  private down = 0;
  private readonly least: Extreme = { value: Number.POSITIVE_INFINITY, count: 0, mean: 0 };
  private readonly greatest: Extreme = { value: -1, count: 0, mean: 0 };

  constructor(private readonly parameters: Required<PageHinkleyOptions>) {}

  update(value: number): boolean {
    if (this.detection !== null) this.reset();
    const { minInstances, delta, threshold, alpha, mode } = this.parameters;
    this.count++;
    this.seen++;
    this.mean += (value - this.mean) / this.seen;
    const deviation = value - this.mean;
    this.up = alpha * this.up + deviation - delta;
    this.down = alpha * this.down + deviation + delta;
    if (this.up < this.least.value) this.mark(this.least, this.up);
    if (this.down > this.greatest.value) this.mark(this.greatest, this.down);
    if (this.seen < minInstances) return false;
    const risen = this.up - this.least.value;
    const fallen = this.greatest.value - this.down;
    if (mode !== 'down' && risen > threshold) this.detection = this.since(this.least, risen);
    else if (mode !== 'up' && fallen > threshold) this.detection = this.since(this.greatest, fallen);
    return this.detection !== null;
  }

  private mark(extreme: Extreme, value: number): void {
    extreme.value = value;
    extreme.count = this.seen;
    extreme.mean = this.mean;
  }

  private since(extreme: Extreme, statistic: number): ChangeDetection {
    const later = this.seen - extreme.count;
    return {
      index: this.count - 1,
      onset: this.count - later,
      before: extreme.mean,
      after: (this.seen * this.mean - extreme.count * extreme.mean) / later,
      statistic,
      threshold: this.parameters.threshold,
    };
  }

  private reset(): void {
    this.detection = null;
    this.seen = 0;
    this.mean = 0;
    this.up = 0;
    this.down = 0;
    Object.assign(this.least, { value: Number.POSITIVE_INFINITY, count: 0, mean: 0 });
    Object.assign(this.greatest, { value: -1, count: 0, mean: 0 });
  }

  encode(): Uint8Array {
    const { minInstances, delta, threshold, alpha, mode } = this.parameters;
    const { least, greatest } = this;
    return encodeNumbers(FORMAT, [
      ...[minInstances, delta, threshold, alpha, MODES.indexOf(mode)],
      ...[this.count, this.seen, this.mean, this.up, this.down],
      ...[least.value, least.count, least.mean, greatest.value, greatest.count, greatest.mean],
      ...numbersOfDetection(this.detection),
    ]);
  }

  static decode(bytes: Uint8Array): PageHinkley {
    const reader = decodeNumbers(FORMAT, 'page-hinkley', bytes);
    const test = new PageHinkley({
      minInstances: reader.number(),
      delta: reader.number(),
      threshold: reader.number(),
      alpha: reader.number(),
      mode: MODES[reader.whole(MODES.length - 1)] as 'up' | 'down' | 'both',
    });
    test.count = reader.number();
    test.seen = reader.number();
    test.mean = reader.number();
    test.up = reader.number();
    test.down = reader.number();
    Object.assign(test.least, { value: reader.number(), count: reader.number(), mean: reader.number() });
    Object.assign(test.greatest, { value: reader.number(), count: reader.number(), mean: reader.number() });
    test.detection = reader.detection();
    reader.done();
    return test;
  }
}
