import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

test('the guide to testing shows the tests of the fraud project as they run', async () => {
  const guide = await readFile(new URL('../../../../docs/guides/testing.md', import.meta.url), 'utf8');
  const shown = /```ts\n(.*?)```/s.exec(guide)?.[1];
  const tests = await readFile(new URL('streams.test.ts', import.meta.url), 'utf8');
  expect(shown).toBe(tests.replace('../../../../examples/fraud/project.js', './project.js'));
});
