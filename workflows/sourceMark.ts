import type { SourceMark } from '../contracts/workflows.js';

/** Gaps are remembered up to so many; signals that far apart do not come out of order. */
const MAX_GAPS = 100;

/**
 * Takes note of a sequence number of a source: null where it has been seen, else the new mark.
 *
 * @example high 3, then 6: new, gaps 4 and 5; then 4: new, gap 5; then 6 again: seen.
 */
export function markSequence(mark: SourceMark | undefined, sequence: number): SourceMark | null {
  const { high, gaps } = mark ?? { high: 0, gaps: [] };
  if (sequence > high) {
    const first = Math.max(high + 1, sequence - MAX_GAPS);
    const missed = Array.from({ length: sequence - first }, (_, at) => first + at);
    return { high: sequence, gaps: [...gaps, ...missed].slice(-MAX_GAPS) };
  }
  return gaps.includes(sequence) ? { high, gaps: gaps.filter((gap) => gap !== sequence) } : null;
}
