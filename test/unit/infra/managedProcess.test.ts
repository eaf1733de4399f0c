import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import {
  commandOf,
  findProcess,
  isRunning,
  startTimeOf,
  stopProcess,
  type ProcessIdentity,
} from '../../../infra/managedProcess.js';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process that says when it is ready. */
async function start(script: string, ...args: string[]): Promise<ProcessIdentity & { readonly child: ChildProcess }> {
  const child = spawn(process.execPath, [
    '-e',
    `${script}; setInterval(() => {}, 1000); console.log('ready')`,
    ...args,
  ]);
  children.push(child);
  await once(child.stdout, 'data');
  const pid = child.pid as number;
  return { pid, startTime: (await startTimeOf(pid)) as string, child };
}

test('a process is stopped by pid and start time together', async () => {
  const running = await start('');
  expect(await isRunning(running)).toBe(true);
  const recycled = { pid: running.pid, startTime: '1' };
  expect(await isRunning(recycled)).toBe(false);
  await stopProcess(recycled);
  expect(await isRunning(running)).toBe(true);
  await stopProcess(running);
  expect(await isRunning(running)).toBe(false);
  // A second time there is nothing to do.
  await stopProcess(running);
});

test('a process that ignores SIGTERM is ended by SIGKILL after its grace', async () => {
  const stubborn = await start("process.on('SIGTERM', () => {})");
  const ended = once(stubborn.child, 'exit');
  await stopProcess(stubborn, 200);
  expect(await ended).toEqual([null, 'SIGKILL']);
});

test.skipIf(!existsSync('/proc/self/cmdline'))('a process is found by its arguments', async () => {
  const mark = `mark-${process.pid}-${Math.random()}`;
  const { pid, startTime } = await start('', mark);
  expect(await findProcess((args) => args.includes(mark))).toEqual({ pid, startTime });
  expect(await findProcess((args) => args.includes(`${mark}-of-nobody`))).toBeNull();
  expect(await commandOf(pid)).toContain(process.execPath);
});
