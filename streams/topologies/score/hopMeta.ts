import type { SourceRanges } from '../../blocks/sourceRanges.js';
import type { Upstreams } from '../../blocks/upstreams.js';

/** What a hop task keeps beside its windows and the rows that wait. */
export interface HopMeta {
  readonly upstreams: readonly (readonly [stage: string, tasks: Parameters<Upstreams['decode']>[0]])[];
  readonly ranges: ReturnType<SourceRanges['encode']>;
  readonly horizon: number | null;
  readonly greatest: number | null;
}

/** Snapshots of before progress was announced have the upstream watermarks alone: no row is later than they allow. */
export function decodeHopMeta(stored: unknown, latenessMs: number): HopMeta {
  if (!Array.isArray(stored)) return stored as HopMeta;
  const upstreams = stored as readonly (readonly [string, readonly (number | null)[]])[];
  const newest = Math.max(...upstreams.flatMap(([, tasks]) => tasks.map((each) => each ?? Number.NEGATIVE_INFINITY)));
  const greatest = Number.isFinite(newest) ? newest + latenessMs : null;
  return { upstreams, ranges: [], horizon: null, greatest };
}
