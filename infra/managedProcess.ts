import { execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { messageOf, TidemillError } from '../contracts/errors.js';

/** Identity of a process: a pid alone may be given to another process later; with its start time it is unique. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** Starts a program that outlives this process, its output appended to `logFile`. */
export async function startDetached(
  program: string,
  args: readonly string[],
  options: { readonly logFile: string; readonly cwd?: string; readonly env?: NodeJS.ProcessEnv },
): Promise<ProcessIdentity> {
  await mkdir(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a');
  try {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      detached: true,
      stdio: ['ignore', log, log],
    });
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    const spawned = new Promise<void>((resolve) => child.once('spawn', resolve));
    await Promise.race([spawned, failed]);
    child.unref();
    const pid = child.pid as number;
    return { pid, startTime: (await startTimeOf(pid)) ?? '' };
  } finally {
    closeSync(log);
  }
}

/** Start time of a process as the system tells it; null where there is no such process. */
export async function startTimeOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (stat !== null) {
    // The second column is the name in brackets and may hold spaces; state is the 3rd, start time the 22nd.
    const columns = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return columns[0] === 'Z' ? null : (columns[19] ?? null);
  }
  const listed = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => null);
  return listed === null || listed.stdout.trim() === '' ? null : listed.stdout.trim();
}

export async function isRunning({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  return (await startTimeOf(pid)) === startTime;
}

/** Command line of a process, cut to a line; null where it cannot be read. */
export async function commandOf(pid: number): Promise<string | null> {
  const args = await argumentsOf(pid);
  return args === null ? null : args.join(' ').slice(0, 120);
}

/** A running process whose arguments (the program included) are the ones looked for; null without /proc. */
export async function findProcess(
  isIt: (args: readonly string[], pid: number) => boolean,
): Promise<ProcessIdentity | null> {
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const args = await argumentsOf(Number(name));
    if (args === null || !isIt(args, Number(name))) continue;
    const startTime = await startTimeOf(Number(name));
    if (startTime !== null) return { pid: Number(name), startTime };
  }
  return null;
}

async function argumentsOf(pid: number): Promise<string[] | null> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text === '' ? null : text.replace(/\0$/, '').split('\0');
}

/**
 * Ends exactly this process: SIGTERM, and SIGKILL where it stays for `graceMs`. Nothing where it is gone already.
 *
 * @throws TidemillError RUNTIME_STOP_FAILED where it may not be ended or stays all the same.
 */
export async function stopProcess(identity: ProcessIdentity, graceMs = 15_000): Promise<void> {
  for (const [signal, waitMs] of [
    ['SIGTERM', graceMs],
    ['SIGKILL', 5_000],
  ] as const) {
    if (!(await isRunning(identity))) return;
    try {
      process.kill(identity.pid, signal);
    } catch (error) {
      // It may have ended since it was looked at.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw stopFailed(identity.pid, messageOf(error));
    }
    for (const deadline = Date.now() + waitMs; Date.now() < deadline; await sleep(50)) {
      if (!(await isRunning(identity))) return;
    }
  }
  throw stopFailed(identity.pid, 'it is still there after SIGKILL');
}

function stopFailed(pid: number, reason: string): TidemillError {
  return new TidemillError('RUNTIME_STOP_FAILED', `process ${pid} was not stopped: ${reason}`, { pid });
}

/**
 * Waits until `isReady`, as long as the process lives.
 *
 * @throws TidemillError RUNTIME_START_FAILED with the end of the log.
 */
export async function awaitReady(
  service: string,
  identity: ProcessIdentity,
  logFile: string,
  isReady: () => Promise<boolean>,
  timeoutMs = 90_000,
): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(100)) {
    if (await isReady()) return;
    if (!(await isRunning(identity))) break;
  }
  await stopProcess(identity);
  const log = await readFile(logFile, 'utf8').catch(() => '');
  const tail = log.trim().split('\n').slice(-8);
  throw new TidemillError(
    'RUNTIME_START_FAILED',
    `${service} did not start (${logFile}):\n${tail.map((line) => line.slice(0, 200)).join('\n')}`,
    { service, logFile },
  );
}
