import { durationMs } from '../contracts/duration.js';
import { definitionError } from '../features/authoring/names.js';
import type { OperationalGate } from './definition.js';

/** What a version may fail more often than the champion where the model does not say. */
export const DEFAULT_ERROR_MARGIN = 0.001;

const MICROS_PER_MS = 1_000;

/**
 * At least `share` of the requests must be scored within less than `under`; the time is that of the request's micro-batch
 * in the version.
 *
 * @example latency({ share: 0.99, under: '5ms' })
 * @throws TidemillError DEFINITION_INVALID
 */
export function latency(options: { readonly share: number; readonly under: string }): OperationalGate {
  checkShare('latency.share', options.share);
  const underMicros = durationMs(options.under) * MICROS_PER_MS;
  if (underMicros === 0) throw definitionError('latency.under', 'must be longer than nothing');
  return { kind: 'latency', share: options.share, underMicros };
}

/**
 * Less than this share of the served vectors may differ from those recomputed in event time. An audit of a sample of the
 * phase measures it, once the values are final: the phase needs time for that. One that differs within its cut fails it.
 *
 * @throws TidemillError DEFINITION_INVALID
 */
export function skew(margin: number): OperationalGate {
  return { kind: 'skew', margin: checkShare('skew', margin) };
}

/**
 * The version may fail on a greater share of the requests than the champion, but by less than `margin`.
 *
 * @throws TidemillError DEFINITION_INVALID
 */
export function errors(margin: number): OperationalGate {
  return { kind: 'errors', margin: checkShare('errors', margin) };
}

/**
 * Less than `decisions` of the requests may be decided otherwise than by the champion.
 *
 * @throws TidemillError DEFINITION_INVALID
 */
export function agreement(options: { readonly decisions: number }): OperationalGate {
  return { kind: 'agreement', margin: checkShare('agreement.decisions', options.decisions) };
}

/** The guards of a model: those declared, and `errors` in any case. */
export function operationalGates(path: string, declared: readonly OperationalGate[]): readonly OperationalGate[] {
  const kinds = declared.map(({ kind }) => kind);
  const twice = kinds.find((kind, at) => kinds.indexOf(kind) !== at);
  if (twice !== undefined) throw definitionError(path, `${twice} is declared twice`, { gate: twice });
  return kinds.includes('errors') ? declared : [...declared, errors(DEFAULT_ERROR_MARGIN)];
}

/** What the share that a guard bounds must be shown to be below. */
export function marginOf(gate: OperationalGate): number {
  // Rounded: 1 - 0.99 is 0.010000000000000009.
  return gate.kind === 'latency' ? Number((1 - gate.share).toPrecision(12)) : gate.margin;
}

function checkShare(path: string, share: number): number {
  if (share > 0 && share < 1) return share;
  throw definitionError(path, `${share} is not between 0 and 1`, { value: share });
}
