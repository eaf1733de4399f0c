import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Progress } from './command.js';
import { findRedis } from './findRedis.js';
import { awaitReady, findProcess, startDetached, stopProcess, type ProcessIdentity } from './managedProcess.js';
import { answers, freePort, requirePort } from './ports.js';

export interface StartedRedis {
  /** host:port */
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  readonly identity: ProcessIdentity;
  stop(): Promise<void>;
}

/**
 * Starts a server with its data under `directory`, which may hold that of an earlier run. Every write is appended to a file
 * that is synced once a second: what a crash of the machine takes is written again from the log.
 *
 * @param options.port default: a free one.
 * @throws TidemillError RUNTIME_UNAVAILABLE, RUNTIME_PORT_TAKEN, RUNTIME_START_FAILED
 */
export async function startRedis(options: {
  readonly directory: string;
  readonly port?: number;
  readonly progress?: Progress;
}): Promise<StartedRedis> {
  const directory = resolve(options.directory);
  const { program, libraries } = await findRedis(options.progress);
  const port = options.port ?? (await freePort());
  await requirePort('redis', port);
  await mkdir(directory, { recursive: true });
  options.progress?.('starting Redis');
  // Redis names itself in its command line without its options: the file says the port to who adopts it.
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', directory, '--pidfile', pidFileOf(directory)];
  args.push('--daemonize', 'no', '--appendonly', 'yes', '--appendfsync', 'everysec', '--save', '');
  // A cache would evict; this is a store.
  args.push('--maxmemory-policy', 'noeviction');
  const env = libraries === null ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries };
  const identity = await startDetached(program, args, { logFile: logFileOf(directory), cwd: directory, env });
  return whenReady(directory, identity, port);
}

/** The server that already runs on the data of `directory`, whoever started it; null where there is none (or no /proc). */
export async function adoptRedis(relative: string): Promise<StartedRedis | null> {
  const directory = resolve(relative);
  const pid = (await readFile(pidFileOf(directory), 'utf8').catch(() => '')).trim();
  if (pid === '') return null;
  let port = 0;
  const identity = await findProcess((args, candidate) => {
    // "redis-server 127.0.0.1:6379", as it renames itself
    const title = /redis-server \S*:(\d+)/.exec(args.join(' '));
    if (candidate !== Number(pid) || title === null) return false;
    port = Number(title[1]);
    return true;
  });
  return identity === null ? null : whenReady(directory, identity, port);
}

async function whenReady(directory: string, identity: ProcessIdentity, port: number): Promise<StartedRedis> {
  await awaitReady('redis', identity, logFileOf(directory), () => answers(port));
  const stop = (): Promise<void> => stopProcess(identity);
  return { address: `127.0.0.1:${port}`, port, pid: identity.pid, identity, stop };
}

function pidFileOf(directory: string): string {
  return join(directory, 'redis.pid');
}

function logFileOf(directory: string): string {
  return join(directory, 'redis.log');
}
