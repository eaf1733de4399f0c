import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { runCommandLine } from '../../../cli/program.js';
import { formatError, formatTable } from '../../../cli/output.js';
import { ERROR_CODES } from '../../../contracts/errorCodes.js';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidemill-cli-'));
  vi.stubEnv('TIDEMILL_KAFKA', '');
  vi.stubEnv('TIDEMILL_TEMPORAL', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

async function run(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  const written = { out: '', error: '' };
  const code = await runCommandLine(['--home', home, ...args], {
    out: (text) => (written.out += `${text}\n`),
    error: (text) => (written.error += `${text}\n`),
  });
  return { code, ...written };
}

describe('a wrong command line', () => {
  test.each([
    [['nosuch'], "unknown command 'nosuch'"],
    [['up', '--nosuch'], "unknown option '--nosuch'"],
    [['up', '--kafka-port', 'abc'], 'not a whole number from 1 to 65535'],
    [['up', '--kafka-port', '65536'], 'not a whole number from 1 to 65535'],
    [['generate', 'fraud', '--days', '0'], 'not a whole number from 1'],
    [['generate', 'fraud', '--drift', 'other@3'], 'not like new-pattern@68'],
    [['stream', 'run', 'score'], "required option '--model <name>'"],
    [['stream', 'reset', 'score', '--model', 'fraud', '--to', 'yesterday'], 'not like earliest'],
    [['stream', 'reset', 'score', '--model', 'fraud'], 'pass --yes'],
    [['check', '--positive-share', '1.5'], 'not a number from 0 to 1'],
    [['check', '--requests-per-day', '9600'], 'go together'],
    [['lineage', 'prediction', 'fraud'], "missing required argument 'id'"],
    [['prune', '--older-than', '59m'], 'of at least 1h'],
    [['prune', '--grace', 'soon'], 'not a duration like 90d'],
    [['models', 'show'], "missing required argument 'model'"],
    [['models', 'show', 'fraud', '0'], 'not a whole number from 1'],
    [['audit', 'fraud', '--from', 'yesterday'], 'not like 2024-03-01 or 2024-03-01T00:00:00Z'],
    [['audit', 'fraud', '--sample', '0'], 'not a whole number from 1 to 100000'],
    [['follow'], "missing required argument 'id'"],
    [['rollback', 'fraud'], "required option '--reason <text>'"],
    [['rollback', 'fraud', '--reason', 'x', '--to', '0'], 'not a whole number from 1'],
    [['pause', 'fraud'], "required option '--reason <text>'"],
    [['reject', 'fraud'], "required option '--reason <text>'"],
    [['status', '-o', 'yaml'], 'Allowed choices are table, json, jsonl'],
  ])('%j is a usage error with exit code 2 and nothing on standard output', async (args, message) => {
    const people = await run(...args);
    expect(people).toMatchObject({ code: 2, out: '' });
    expect(people.error).toContain('USAGE_INVALID: ');
    expect(people.error).toContain(message);
    expect(people.error).toContain(ERROR_CODES.USAGE_INVALID.action);
    const programs = await run('--json', ...args);
    expect(programs).toMatchObject({ code: 2, out: '' });
    expect(JSON.parse(programs.error)).toMatchObject({
      error: { code: 'USAGE_INVALID', hint: ERROR_CODES.USAGE_INVALID.action },
    });
  });

  test('no command at all shows the help on standard error', async () => {
    expect(await run()).toMatchObject({
      code: 2,
      out: '',
      error: expect.stringContaining('Usage: tidemill') as string,
    });
  });

  test.each([[[]], [['stream']], [['dlq']]])('programs get an error for %j, not the help', async (args) => {
    const { code, out, error } = await run('--json', ...args);
    expect({ code, out, said: JSON.parse(error) as unknown }).toMatchObject({
      code: 2,
      out: '',
      said: { error: { code: 'USAGE_INVALID', message: 'a command is missing' } },
    });
  });
});

test('the version is that of the package', async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  expect(await run('--version')).toMatchObject({ code: 0, out: `${version}\n`, error: '' });
});

test.each([['status'], ['up'], ['down'], ['approval', 'init'], ['models', 'list'], ['prune'], ['lifecycle', 'fraud']])(
  'a home that is a file is named by %s %s, without a stack',
  async (...args) => {
    const file = join(home, 'file');
    await writeFile(file, '');
    const command = args.filter((each) => each !== undefined);
    const people = await run('--home', file, ...command);
    expect(people).toMatchObject({ code: ERROR_CODES.PATH_UNUSABLE.exit, out: '' });
    expect(people.error).toMatch(/^PATH_UNUSABLE: (ENOTDIR|EEXIST): /);
    expect(people.error).toContain(file);
    expect(people.error).toContain(ERROR_CODES.PATH_UNUSABLE.action);
    expect(people.error).not.toMatch(/^ +at /m);
    const programs = await run('--json', '--home', file, ...command);
    expect(JSON.parse(programs.error)).toMatchObject({ error: { code: 'PATH_UNUSABLE' } });
  },
);

test('a defect is told without its stack, with what to do', () => {
  const text = formatError(new Error('invariant broken: no report'), 'table');
  expect(text).toBe('INTERNAL: invariant broken: no report\n  Report it with the command line.');
});

test.each([
  ['up'],
  ['down'],
  ['status'],
  ['doctor'],
  ['stream', 'run'],
  ['stream', 'status'],
  ['stream', 'reset'],
  ['check'],
  ['apply'],
  ['lineage', 'prediction'],
  ['lineage', 'view'],
  ['prune'],
  ['models', 'list'],
  ['models', 'show'],
  ['features', 'backfill'],
  ['features', 'get'],
  ['features', 'heal'],
  ['features', 'rebuild'],
  ['follow'],
  ['retrain'],
  ['rollback'],
  ['pause'],
  ['resume'],
  ['lifecycle'],
  ['worker'],
  ['replay'],
  ['archive', 'compact'],
  ['stream', 'describe'],
  ['dlq', 'list'],
  ['dlq', 'show'],
  ['dlq', 'replay'],
  ['dlq', 'discard'],
  ['models', 'report'],
  ['audit'],
  ['approve'],
  ['reject'],
  ['approval', 'init'],
  ['generate', 'fraud'],
])('the help of %s %s has an example', async (...args) => {
  const { code, out } = await run(...args.filter((each) => each !== undefined), '--help');
  expect(code).toBe(0);
  expect(out).toContain(`Example:\n  tidemill ${args.join(' ')}`);
});

describe('a result', () => {
  test('is a table for people, one JSON value or a JSON object a line for programs', async () => {
    const lines = (await run('status')).out.split('\n');
    expect(lines.map((line) => line.trim().split(/ {2,}/).slice(0, 2))).toEqual([
      ['service', 'state'],
      ['kafka', 'stopped'],
      ['temporal', 'stopped'],
      ['redis', 'stopped'],
      [''],
    ]);
    expect(lines[3]).toMatch(/LMDB in \S+online$/);
    const states = [
      { service: 'kafka', state: 'stopped' },
      { service: 'temporal', state: 'stopped' },
      { service: 'redis', state: 'stopped', instead: expect.stringMatching(/^LMDB in \S+online$/) as string },
    ];
    for (const args of [['--json'], ['-o', 'json'], ['--format', 'json']]) {
      // Options of the program stand before or after the command.
      for (const line of [
        [...args, 'status'],
        ['status', ...args],
      ]) {
        const { code, out, error } = await run(...line);
        expect({ code, value: JSON.parse(out) as unknown, error }).toEqual({ code: 0, value: states, error: '' });
      }
    }
    const { out } = await run('status', '-o', 'jsonl');
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(states);
  });

  test('of down tells what was stopped', async () => {
    expect(await run('down')).toMatchObject({ code: 0, out: 'nothing was running\n' });
    expect(JSON.parse((await run('down', '--json')).out)).toEqual({ stopped: [] });
  });

  test('of doctor names every check, and the exit code is 5 where one fails', async () => {
    vi.stubEnv('TIDEMILL_KAFKA', '127.0.0.1:1');
    const { code, out } = await run('doctor', '--json');
    const checks = JSON.parse(out) as { name: string; ok: boolean; found: string }[];
    expect(code).toBe(5);
    expect(checks.find(({ name }) => name.startsWith('node'))).toMatchObject({ ok: true, found: process.version });
    expect(checks.find(({ name }) => name === 'kafka of the environment')).toEqual({
      name: 'kafka of the environment',
      ok: false,
      found: 'nothing answers at 127.0.0.1:1',
    });
    for (const part of ['java', 'Kafka', 'Temporal', 'XGBoost', 'folder', 'port 9092', 'port 7233', 'port 8233']) {
      expect(
        checks.some(({ name }) => name.includes(part)),
        part,
      ).toBe(true);
    }
  });

  test('that is an error carries its code, and its exit code is the one of the registry', async () => {
    await writeFile(join(home, 'runtime.json'), '{');
    const people = await run('status');
    expect(people).toMatchObject({ code: ERROR_CODES.RUNTIME_RECORD_INVALID.exit, out: '' });
    expect(people.error).toMatch(/^RUNTIME_RECORD_INVALID: .*runtime\.json cannot be read.*\n {2}Remove the file/);
    expect(JSON.parse((await run('status', '--json')).error)).toMatchObject({
      error: { code: 'RUNTIME_RECORD_INVALID', details: { file: join(home, 'runtime.json') } },
    });
  });
});

test('a table is aligned and has no spaces at its line ends', () => {
  expect(formatTable(['a', 'long title'], [['wide cell', 'x'], ['y']])).toBe('a          long title\nwide cell  x\ny');
});
