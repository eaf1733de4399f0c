import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

/** Writes snapshots until there is no room, then makes room and writes another one. */
const SCRIPT = `
  import { execFileSync } from 'node:child_process';
  const { isFailedCommit, SnapshotStore } = await import('./dist/streams/runtime/snapshotStore.js');
  const [, disk] = process.argv;
  let unheard = 0;
  process.on('unhandledRejection', (error) => {
    if (!isFailedCommit(error)) throw error;
    unheard++;
  });
  const store = await SnapshotStore.open(disk + '/task', () => undefined);
  await store.claim('me', 'v1');
  const write = (at) => {
    const entries = Array.from({ length: 50 }, (_, key) => ({ key: Buffer.from(at + '-' + key), value: Buffer.alloc(500) }));
    return store.write({ owner: 'me', identity: 'v1', offsets: { topic: at } }, entries);
  };
  let error = null;
  let at = 0;
  while (error === null) await write(at).then(() => at++, (reason) => (error = reason));
  const other = await SnapshotStore.open(disk + '/other', () => undefined).then(() => null, (reason) => reason.code);
  const entries = [...store.entries()].length;
  const offset = store.header().offsets.topic;
  execFileSync('mount', ['-o', 'remount,size=8m', disk]);
  await write(at);
  const after = store.header().offsets.topic;
  await store.close();
  console.log(JSON.stringify({ code: error.code, message: error.message, at, entries, offset, after, other, unheard }));
`;

const disk = mkdtempSync(join(tmpdir(), 'tidemill-disk-'));
const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1600k', 'tmpfs', disk]).status === 0;

describe.skipIf(!isMounted)('a snapshot on a disk of its own that fills up', () => {
  afterAll(() => {
    spawnSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  });

  test('is refused as DISK_FULL naming the folder; the one before stays whole, and once there is room the next is written', () => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', SCRIPT, disk], {
      encoding: 'utf8',
    });
    const found = JSON.parse(stdout || `{"stderr":${JSON.stringify(stderr)}}`) as Record<string, number | string>;
    expect(found).toMatchObject({ code: 'DISK_FULL', message: expect.stringContaining(join(disk, 'task')) as string });
    const at = found['at'] as number;
    expect(at).toBeGreaterThan(0);
    expect(found).toMatchObject({ entries: 50 * at, offset: at - 1, after: at });
    // One that cannot even be opened is refused before the process dies of it.
    expect(found['other']).toBe('DISK_FULL');
  });
});
