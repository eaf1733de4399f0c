import { TidemillError } from './errors.js';

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/**
 * Milliseconds of a duration such as `500ms`, `10m`, `7d`; a number is taken as milliseconds.
 *
 * @throws TidemillError DEFINITION_INVALID for anything else, negatives included.
 */
export function durationMs(duration: string | number): number {
  if (typeof duration === 'number' && Number.isSafeInteger(duration) && duration >= 0) return duration;
  const match = typeof duration === 'string' ? /^(\d+)(ms|s|m|h|d)$/.exec(duration) : null;
  const unitMs = match?.[2] === undefined ? undefined : UNITS_MS[match[2]];
  const ms = match === null || unitMs === undefined ? Number.NaN : Number(match[1]) * unitMs;
  if (!Number.isSafeInteger(ms)) {
    throw new TidemillError(
      'DEFINITION_INVALID',
      `duration ${JSON.stringify(duration)} is not like 500ms, 10m, 6h or 7d`,
      {
        duration,
      },
    );
  }
  return ms;
}

/** The shortest exact way to write a duration: 604800000 is `7d`, 90000 is `90s`. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const unitMs = UNITS_MS[unit] as number;
    if (ms !== 0 && ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${ms}ms`;
}
