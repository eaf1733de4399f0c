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
});
