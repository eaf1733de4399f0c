import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diskFailure } from '../../../stores/objects/diskFull.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';

/** Stores 64 KB in a process whose files may not grow beyond half a KB, or a KB: the unit of `ulimit -f`. */
const SCRIPT = `
  const { openDiskObjectStore } = await import('./dist/stores/objects/diskObjectStore.js');
  const [, root] = process.argv;
  await openDiskObjectStore(root).put('models', 'onnx', Buffer.alloc(65_536)).then(
    () => console.log('stored'),
    (error) => console.log(JSON.stringify({ code: error.code, message: error.message, action: error.action })),
  );
`;

test('an object that there is no room for leaves nothing, and the error names the folder and what to do', async () => {
  const root = await mkdtemp(join(tmpdir(), 'tidemill-full-'));
  try {
    const { stdout } = spawnSync(
      'sh',
      ['-c', 'ulimit -f 1; exec "$0" "$@"', process.execPath, '--input-type=module', '--eval', SCRIPT, root],
      { encoding: 'utf8' },
    );
    const { code, message, action } = JSON.parse(stdout) as Record<string, string>;
    expect(code).toBe('DISK_FULL');
    expect(message).toContain(join(root, 'models'));
    expect(action).toContain('Make room');
    expect(await readdir(join(root, 'models'))).toEqual([]);
    // Once there is room, the same is stored.
    await openDiskObjectStore(root).put('models', 'onnx', Buffer.alloc(65_536));
    expect(await readdir(join(root, 'models'))).toHaveLength(1);
  } finally {
    await rm(root, { recursive: true });
  }
});

test('what is not about room stays what it is; an engine says it in its message', () => {
  const other = new Error('EACCES: permission denied');
  expect(diskFailure('/data', other)).toBe(other);
  const engine = new Error('IO Error: Could not write file "/data/a.parquet": No space left on device');
  expect(diskFailure('/data', engine)).toMatchObject({ code: 'DISK_FULL', details: { folder: '/data' } });
});
