import { expect, test } from 'vitest';
import { processingOf } from '../../../workers/processing.js';

test('topologies are processed as they are told to be, but for the archive', () => {
  expect(processingOf('at-least-once', 'score')).toBe('at-least-once');
  expect(processingOf('at-least-once', 'archive')).toBe('exactly-once');
  expect(processingOf('exactly-once', 'archive')).toBe('exactly-once');
});

test('a word for anything else is refused', () => {
  expect(() => processingOf('at-most-once', 'score')).toThrow(expect.objectContaining({ code: 'USAGE_INVALID' }));
});
