import type { ScoreRole } from '../../contracts/records.js';
import type { SparseCounts } from '../../contracts/performanceReport.js';

/**
 * Counts that can be added in any order and grouping and come out the same, byte for byte: every number is a whole one, or a
 * sum of multiples of 2^-24 that a double holds exactly.
 */
export interface Mergeable<Self> {
  /** @param times 1 to add, -1 to take away what was added. @default 1 */
  merge(other: Self, times?: 1 | -1): void;
  /** Nothing would change by merging it. */
  readonly isEmpty: boolean;
  /** Plain JSON, the same for equal counts whatever they were made from. */
  encode(): unknown;
}

/** Counts of one version in one role, on requests of one bucket of event time. */
export interface Cell<Counts> {
  /** Number of the bucket: event time over its length, rounded down. */
  readonly bucket: number;
  readonly version: number;
  readonly role: ScoreRole;
  readonly counts: Counts;
}

/** Cells in the one order in which they are told. */
export function compareCells(a: Cell<unknown>, b: Cell<unknown>): number {
  return a.bucket - b.bucket || a.version - b.version || (a.role < b.role ? -1 : a.role > b.role ? 1 : 0);
}

const QUANTUM = 2 ** 24;

/**
 * The multiple of 2^-24 (6e-8) next to a value: sums of such values are exact, and so independent of their order, up to
 * 2^29 (5e8).
 */
export function exactly(value: number): number {
  return Math.round(value * QUANTUM) / QUANTUM;
}

export function addTo<Key>(counts: Map<Key, number>, key: Key, added: number): void {
  const sum = (counts.get(key) ?? 0) + added;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}

/** Pairs in the order of their names. */
export function sortedPairs<Name extends string, Value>(map: ReadonlyMap<Name, Value>): [Name, Value][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

export function sparse(counts: ArrayLike<number>): SparseCounts {
  const found: [number, number][] = [];
  for (let at = 0; at < counts.length; at++) if ((counts[at] ?? 0) !== 0) found.push([at, counts[at] as number]);
  return found;
}
