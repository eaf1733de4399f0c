import type { Status } from './types.js';

/**
 * The one function that decides the status of a feature value, in this precedence: MISSING (no visible event within the
 * view's `keep`), EXPIRED (latest visible event older than `ttl`), DEFAULTED (null, replaced by `orElse`), NULL, PRESENT.
 *
 * @param ageMs position's time minus the time of the latest visible event within keep; null where there is none.
 * @param isNull is the value null before `orElse`?
 */
export function statusOf(ageMs: number | null, ttlMs: number | null, isNull: boolean, hasDefault: boolean): Status {
  if (ageMs === null) return 'MISSING';
  if (ttlMs !== null && ageMs > ttlMs) return 'EXPIRED';
  if (isNull) return hasDefault ? 'DEFAULTED' : 'NULL';
  return 'PRESENT';
}
