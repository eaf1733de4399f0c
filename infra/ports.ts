import { readdir, readFile, readlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { TidemillError } from '../contracts/errors.js';
import { commandOf } from './managedProcess.js';

/** Ports below those that systems give to outgoing connections: Linux from 32,768 on, others from 49,152. */
const LISTENING = { from: 16_384, to: 32_767 };
const ATTEMPTS = 64;

/**
 * A port of 127.0.0.1 that nobody uses now. It is none that the system may give to an outgoing connection before whoever asked
 * comes to listen.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const port = LISTENING.from + Math.floor(Math.random() * (LISTENING.to - LISTENING.from + 1));
    if (await canListen(port)) return port;
  }
  throw new TidemillError(
    'RUNTIME_START_FAILED',
    `no free port was found between ${LISTENING.from} and ${LISTENING.to} in ${ATTEMPTS} attempts`,
    LISTENING,
  );
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (listens) await new Promise<void>((resolve) => server.close(() => resolve()));
  return listens;
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
