import { readdir, readFile, readlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { TidemillError } from '../contracts/errors.js';
import { commandOf } from './managedProcess.js';

/** A port of 127.0.0.1 that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('invariant broken: no port');
  return address.port;
}

/** Does anybody answer at host:port? */
export async function answers(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(1_000, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

/** @throws TidemillError RUNTIME_PORT_TAKEN naming the process that holds the port. */
export async function requirePort(service: string, port: number): Promise<void> {
  if (!(await answers(port))) return;
  const pid = await portHolder(port);
  const holder = await describeHolder(pid);
  throw new TidemillError('RUNTIME_PORT_TAKEN', `${service}: port ${port} is taken by ${holder}`, {
    service,
    port,
    pid,
  });
}

/** The holder of a port for people: `process 4711 (java …)`. */
export async function describeHolder(pid: number | null): Promise<string> {
  return pid === null ? 'another process' : `process ${pid} (${(await commandOf(pid)) ?? 'unknown'})`;
}

/** Process that listens on a TCP port of this machine; null where that cannot be told (another user's, or no /proc). */
export async function portHolder(port: number): Promise<number | null> {
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(table, 'utf8').catch(() => '');
    for (const line of text.split('\n').slice(1)) {
      // sl local_address remote_address state … inode; state 0A is LISTEN
      const columns = line.trim().split(/\s+/);
      const local = columns[1];
      if (columns[3] === '0A' && local !== undefined && Number.parseInt(local.split(':')[1] ?? '', 16) === port) {
        inodes.add(`socket:[${columns[9]}]`);
      }
    }
  }
  if (inodes.size === 0) return null;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      if (inodes.has(target)) return Number(pid);
    }
  }
  return null;
}
