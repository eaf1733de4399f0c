import { DAY_MS, durationMs } from '../contracts/duration.js';
import { definitionError } from '../features/authoring/names.js';

/** What becomes of a request whose label is late, never comes, is revised, or cannot be honest. */
export interface LabelOptions {
  /** How long after the request its label is waited for. @default the greater of four times the label's delay and a day */
  readonly horizon?: string;
  /**
   * What it means that no label came within the horizon: nothing is known (`missing`), or the request was a negative, as
   * where only frauds are ever reported. @default 'missing'
   */
  readonly absence?: 'missing' | 'negative';
  /** How long after the request a label, or another one, still counts. @default the horizon */
  readonly retention?: string;
  /** Decisions after which the truth does not show: a payment that was blocked never turns out to be honest. @default [] */
  readonly censored?: readonly string[];
}

/** The same compiled. Durations in ms of stream time. */
export interface LabelSpec {
  readonly horizonMs: number;
  readonly absence: 'missing' | 'negative';
  readonly retentionMs: number;
  readonly censored: readonly string[];
}

/** @throws TidemillError DEFINITION_INVALID */
export function compileLabels(path: string, delayMs: number, options: LabelOptions = {}): LabelSpec {
  const horizonMs = options.horizon === undefined ? Math.max(4 * delayMs, DAY_MS) : durationMs(options.horizon);
  if (horizonMs < delayMs) throw definitionError(`${path}.horizon`, 'is shorter than the delay of the label');
  const retentionMs = options.retention === undefined ? horizonMs : durationMs(options.retention);
  if (retentionMs < horizonMs) throw definitionError(`${path}.retention`, 'is shorter than the horizon');
  return { horizonMs, absence: options.absence ?? 'missing', retentionMs, censored: options.censored ?? [] };
}

/** How long after a request all that is to be known of its label is known, but for revisions. */
export function labelledAfterMs({ delayMs, absence, horizonMs }: LabelSpec & { readonly delayMs: number }): number {
  return absence === 'negative' ? horizonMs : delayMs;
}
