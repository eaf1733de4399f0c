import { expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import { PoisonBreaker } from '../../../streams/runtime/poisonBreaker.js';

const reason = new TidemillError('EVENT_MALFORMED', 'no object');

/** Feeds ✓ and ✗; gives the number of the record that stopped the task, or null. */
function stoppedAt(text: string, limit: { share: number; window: number; least: number }): number | null {
  const breaker = new PoisonBreaker('t-0', limit);
  for (const [at, sign] of [...text].entries()) {
    try {
      if (sign === '✗') breaker.failed(reason);
      else breaker.passed();
    } catch (error) {
      expect(error).toMatchObject({ code: 'POISON_LIMIT_EXCEEDED', details: { task: 't-0', code: 'EVENT_MALFORMED' } });
      return at + 1;
    }
  }
  return null;
}

test('a task stops once poison exceeds its share, and not where it just reaches it', () => {
  expect(stoppedAt('✓✓✗✗', { share: 0.5, window: 8, least: 4 })).toBeNull();
  expect(stoppedAt('✓✓✗✗✗', { share: 0.5, window: 8, least: 4 })).toBe(5);
});

test('too few records decide nothing', () => {
  expect(stoppedAt('✗✗✗', { share: 0.5, window: 8, least: 4 })).toBeNull();
  expect(stoppedAt('✗✗✗✗', { share: 0.5, window: 8, least: 4 })).toBe(4);
});

test('what is older than the window is forgotten, good and bad', () => {
  expect(stoppedAt('✗✗✓✓✓✓✓✓✗✗', { share: 0.5, window: 4, least: 4 })).toBeNull();
  expect(stoppedAt('✓✓✓✓✓✓✓✓✗✗✗', { share: 0.5, window: 4, least: 4 })).toBe(11);
});

test('a share of 1 never stops a task', () => {
  expect(stoppedAt('✗'.repeat(50), { share: 1, window: 8, least: 1 })).toBeNull();
});
