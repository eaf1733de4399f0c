import { setImmediate as yieldOnce } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createTurns } from '../../../../stores/registry/turns.js';

test('work of one key runs one after another in order, work of other keys beside it', async () => {
  const inTurn = createTurns();
  const said: string[] = [];
  const work = (name: string) => async (): Promise<string> => {
    said.push(`${name} begins`);
    await yieldOnce();
    said.push(`${name} ends`);
    return name;
  };
  const results = await Promise.all([inTurn('a', work('a1')), inTurn('a', work('a2')), inTurn('b', work('b1'))]);
  expect(results).toEqual(['a1', 'a2', 'b1']);
  expect(said.slice(0, 2)).toEqual(['a1 begins', 'b1 begins']);
  expect(said.filter((text) => text.startsWith('a'))).toEqual(['a1 begins', 'a1 ends', 'a2 begins', 'a2 ends']);
});

test('work that fails says so to its caller only', async () => {
  const inTurn = createTurns();
  const failing = inTurn('a', () => Promise.reject(new Error('no')));
  const next = inTurn('a', () => Promise.resolve('yes'));
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('yes');
});
