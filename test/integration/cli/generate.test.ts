import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
const size = ['--customers', '300', '--terminals', '600'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-generate-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('generate fraud writes the same lines to a folder and to standard output', async () => {
  const args = [cli, 'generate', 'fraud', '--days', '10', '--seed', '7', '--drift', 'new-pattern@5', ...size];
  const { stdout, stderr } = await run(process.execPath, args, { maxBuffer: 2 ** 26 });
  await run(process.execPath, [...args, '--output', join(folder, 'new', 'data')]);
  expect(await readFile(join(folder, 'new', 'data', 'events.jsonl'), 'utf8')).toBe(stdout);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { stream: string; key: string; value: { at: number } });
  const labels = lines.filter(({ stream }) => stream === 'fraud-labels').length;
  expect(labels).toBeGreaterThan(0);
  expect(stderr).toContain(`${lines.length - labels} transactions and ${labels} labels of 10 days`);
});

test('a reader that stops early is no failure', async () => {
  const command = `set -o pipefail; "${process.execPath}" "${cli}" generate fraud --days 20 | head -1`;
  const { stdout, stderr } = await run('bash', ['-c', command]);
  expect(JSON.parse(stdout)).toMatchObject({ stream: 'transactions', value: { id: 0 } });
  expect(stderr).toBe('');
});

test('a folder that cannot be written is a failure with its own exit code', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  const failed = await run(process.execPath, [cli, 'generate', 'fraud', ...size, '--output', file]).catch(
    (reason: unknown) => reason,
  );
  expect(failed).toMatchObject({ code: 2, stderr: expect.stringContaining(file) as string });
  expect((failed as { stderr: string }).stderr).toMatch(/^PATH_UNUSABLE: /);
});
