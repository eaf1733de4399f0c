import { describe, expect, test } from 'vitest';
import type { SourceMark } from '../../../contracts/workflows.js';
import { markSequence } from '../../../workflows/sourceMark.js';

describe('sequence numbers of a source', () => {
  test('count once each, in whatever order they come', () => {
    let mark: SourceMark | undefined;
    const isNew = [1, 2, 5, 3, 5, 4, 4, 1, 6].map((sequence) => {
      const next = markSequence(mark, sequence);
      mark = next ?? mark;
      return next !== null;
    });
    expect(isNew).toEqual([true, true, true, true, false, true, false, false, true]);
    expect(mark).toEqual({ high: 6, gaps: [] });
  });

  test('of a source that counts from anywhere, such as the time, costs no more than the gaps that are kept', () => {
    const sequence = 1_764_000_000_000;
    const mark = markSequence(undefined, sequence);
    expect(mark?.high).toBe(sequence);
    expect(mark?.gaps).toHaveLength(100);
    expect(mark?.gaps.at(-1)).toBe(sequence - 1);
  });
});
