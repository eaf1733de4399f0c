import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { diagnose } from '../../../infra/doctor.js';
import { isRunning, startTimeOf } from '../../../infra/managedProcess.js';
import { freePort } from '../../../infra/ports.js';
import { down, status } from '../../../infra/runtime.js';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidemill-record-'));
  vi.stubEnv('TIDEMILL_KAFKA', '');
  vi.stubEnv('TIDEMILL_TEMPORAL', '');
  vi.stubEnv('TIDEMILL_REDIS', '');
  vi.stubEnv('TIDEMILL_REGISTRY', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

test('a folder without a record has nothing running and nothing to stop', async () => {
  expect(await status(home)).toEqual([
    { service: 'kafka', state: 'stopped' },
    { service: 'temporal', state: 'stopped' },
    { service: 'redis', state: 'stopped', instead: `LMDB in ${home}/online` },
  ]);
  expect(await down(home)).toEqual([]);
  expect(existsSync(join(home, 'runtime.json'))).toBe(false);
});

test('a process that was given the pid of a dead server is never stopped', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  try {
    const pid = child.pid as number;
    const startTime = (await startTimeOf(pid)) as string;
    const record = { kafka: { pid, startTime: `${startTime}0`, port: 1, address: '127.0.0.1:1' } };
    await writeFile(join(home, 'runtime.json'), JSON.stringify(record));
    await mkdir(join(home, 'kafka'));
    expect((await status(home))[0]).toEqual({ service: 'kafka', state: 'stopped' });
    expect(await down(home, { purge: true })).toEqual([]);
    expect(await isRunning({ pid, startTime })).toBe(true);
    expect(existsSync(join(home, 'kafka'))).toBe(false);
    expect(JSON.parse(await readFile(join(home, 'runtime.json'), 'utf8'))).toEqual({});
  } finally {
    child.kill('SIGKILL');
  }
});

test.each([
  ['torn', '{"kafka": {"pid"'],
  ['no object', '7'],
  ['without a start time', '{"kafka": {"pid": 1, "address": "127.0.0.1:9092"}}'],
])('a record that is %s is an error that names the file', async (_, text) => {
  await writeFile(join(home, 'runtime.json'), text);
  const expected = {
    code: 'RUNTIME_RECORD_INVALID',
    message: expect.stringContaining(join(home, 'runtime.json')) as string,
  };
  await expect(status(home)).rejects.toMatchObject(expected);
  await expect(down(home)).rejects.toMatchObject(expected);
  const checks = await diagnose(home);
  expect(checks.find(({ name }) => name === 'record of the runtime')).toMatchObject({ ok: false });
});

test('an address in the environment is taken, and told whether it answers', async () => {
  const [open, closed] = [await freePort(), await freePort()];
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(open, '127.0.0.1', resolve));
  try {
    vi.stubEnv('TIDEMILL_KAFKA', `127.0.0.1:${closed},127.0.0.1:${open}`);
    vi.stubEnv('TIDEMILL_TEMPORAL', `127.0.0.1:${closed}`);
    vi.stubEnv('TIDEMILL_REDIS', `redis://me:s3cret@127.0.0.1:${open}/2`);
    expect(await status(home)).toEqual([
      { service: 'kafka', state: 'external', address: `127.0.0.1:${closed},127.0.0.1:${open}`, reachable: true },
      { service: 'temporal', state: 'external', address: `127.0.0.1:${closed}`, reachable: false },
      { service: 'redis', state: 'external', address: `127.0.0.1:${open}`, reachable: true },
    ]);
    const checks = await diagnose(home);
    expect(checks.find(({ name }) => name.startsWith('temporal of'))).toMatchObject({ ok: false });
    expect(checks.find(({ name }) => name.startsWith('kafka of'))).toMatchObject({ ok: true });
  } finally {
    server.close();
  }
});

test.each([
  ['sqlite:/x/registry.db', true, '/x/registry.db'],
  ['postgres://me:s3cret@127.0.0.1:1/tidemill', false, 'nothing answers at postgres://me@127.0.0.1:1/tidemill'],
  ['postgres://me:s3cret@127.0.0.1', false, expect.stringContaining('names no database') as string],
])('the registry %s of the environment is looked at, and its password is not told', async (address, ok, found) => {
  vi.stubEnv('TIDEMILL_REGISTRY', address);
  const checks = await diagnose(home);
  expect(checks.find(({ name }) => name === 'registry of the environment')).toEqual({
    name: 'registry of the environment',
    ok,
    found,
  });
});
