import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { expect, test } from 'vitest';
import { codedError } from '../../../contracts/codedError.js';
import { TidemillError } from '../../../contracts/errors.js';

test('a folder that is a file is PATH_UNUSABLE and named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-coded-'));
  try {
    const path = join(folder, 'file');
    await writeFile(path, '');
    const thrown: unknown = await readFile(join(path, 'runtime.json')).catch((error: unknown) => error);
    expect(codedError(thrown)).toMatchObject({
      code: 'PATH_UNUSABLE',
      message: expect.stringContaining(path) as string,
      details: { path: join(path, 'runtime.json'), problem: 'ENOTDIR' },
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('an argument that cannot be parsed is USAGE_INVALID', () => {
  const parse = (): unknown => parseArgs({ args: ['--ids', '-1'], options: { ids: { type: 'string' } } });
  let thrown: unknown;
  try {
    parse();
  } catch (error) {
    thrown = error;
  }
  expect(codedError(thrown)).toMatchObject({
    code: 'USAGE_INVALID',
    message: expect.stringContaining('--ids') as string,
  });
});

test('what has a code keeps it, and what is a defect stays one', () => {
  const known = new TidemillError('DISK_FULL', 'full');
  expect(codedError(known)).toBe(known);
  const defect = new TypeError('undefined is not a function');
  expect(codedError(defect)).toBe(defect);
  expect(codedError('text')).toBe('text');
});
