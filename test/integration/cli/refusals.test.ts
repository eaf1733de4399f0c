import { spawn } from 'node:child_process';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const cli = join(process.cwd(), 'dist', 'cli', 'main.js');

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidemill-refusals-'));
});
afterAll(() => rm(home, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs the program as it is built; without a reader its output is a pipe that nobody reads. */
async function tidemill(args: readonly string[], options: { readonly isRead?: boolean } = {}): Promise<Ended> {
  const servers = { TIDEMILL_KAFKA: '127.0.0.1:1', TIDEMILL_TEMPORAL: '127.0.0.1:1', TIDEMILL_REDIS: '' };
  const env = { ...process.env, ...servers, TIDEMILL_PROJECT_ID: 'p', TIDEMILL_PROJECT: '' };
  const child = spawn(process.execPath, [cli, '--home', home, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, error] = ['', ''];
  if (options.isRead === false) child.stdout.destroy();
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (error += text));
  const code = await new Promise<number | null>((ended) => child.once('close', ended));
  return { code, out, error };
}

describe('what a program of its own refuses, the command line says in the form that was asked for', () => {
  test.each([
    [['stream', 'run', 'nosuch', '--model', 'fraud'], 'USAGE_INVALID', 'there is no topology "nosuch"'],
    [['stream', 'run', 'score', '--model', 'fraud'], 'CONFIGURATION_INVALID', 'TIDEMILL_PROJECT is not set'],
    [['worker'], 'CONFIGURATION_INVALID', 'TIDEMILL_PROJECT is not set'],
    [['replay', 'score', '--model', 'fraud', '--from', '2026-99-99'], 'USAGE_INVALID', '--from 2026-99-99'],
    [['stream', 'reset', 'score', '--model', 'x', '--to', '2026-99-99', '--yes'], 'USAGE_INVALID', '--to 2026-99-99'],
  ])('%j: %s', async (args, errorCode, message) => {
    const people = await tidemill(args);
    expect(people).toMatchObject({ code: 2, out: '' });
    expect(people.error).toMatch(new RegExp(`^${errorCode}: .*${message}`, 'm'));
    const programs = await tidemill(['--json', ...args]);
    expect(programs).toMatchObject({ code: 2, out: '' });
    expect(JSON.parse(programs.error.trim().split('\n').at(-1) ?? '')).toMatchObject({
      error: { code: errorCode, message: expect.stringContaining(message) as string },
    });
  });

  test('a folder for generated data that is a file is named', async () => {
    const file = join(home, 'file');
    await writeFile(file, '');
    const { code, error } = await tidemill(['--json', 'generate', 'fraud', '--days', '1', '--output', file]);
    expect({ code, said: JSON.parse(error) as unknown }).toMatchObject({
      code: 2,
      said: { error: { code: 'PATH_UNUSABLE', details: { path: file } } },
    });
  });
});

test('an id that begins with a hyphen is an id like any other', async () => {
  const { code, error } = await tidemill(['--json', 'dlq', 'show', '--', '-1']);
  expect({ code, said: JSON.parse(error) as unknown }).toMatchObject({
    code: 5,
    said: { error: { code: 'LOG_UNAVAILABLE' } },
  });
});

test('nobody reads the output: the command ends in silence, as if by SIGPIPE', async () => {
  expect(await tidemill(['status'], { isRead: false })).toEqual({ code: 141, out: '', error: '' });
});

test('a command that is told to end takes the program with it that works for it', async () => {
  const broker = createServer();
  const reached = new Promise<Socket>((connected) => broker.once('connection', connected));
  await new Promise<void>((listening) => broker.listen(0, '127.0.0.1', listening));
  try {
    const address = `127.0.0.1:${(broker.address() as AddressInfo).port}`;
    const env = { ...process.env, TIDEMILL_KAFKA: address, TIDEMILL_PROJECT_ID: 'p' };
    const child = spawn(process.execPath, [cli, '--home', home, 'dlq', 'list'], { env, stdio: 'ignore' });
    const ended = new Promise((done) => child.once('close', (code, signal) => done(signal ?? code)));
    // A broker that never answers: the program waits.
    const socket = await reached;
    const left = new Promise<void>((done) => socket.once('close', () => done()).on('error', () => undefined));
    socket.resume();
    child.kill('SIGTERM');
    expect(await ended).toBe('SIGTERM');
    await left;
  } finally {
    broker.close();
  }
});
