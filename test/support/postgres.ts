import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chown, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { messageOf } from '../../contracts/errors.js';
import { locatePostgres } from '../../infra/findPostgres.js';
import { freePort } from '../../infra/ports.js';

const PASSWORD = 'a p@ss/word#1';

export interface TestPostgres {
  /** The password as it stands in no message: plain, and as the URL encodes it. */
  readonly secrets: readonly string[];
  /** Makes an empty database; gives its URL, of the superuser and with the password. */
  createDatabase(): Promise<string>;
  /** Stops the server, which disconnects everybody; `startAgain` starts it on the same port with the same data. */
  shutDown(): Promise<void>;
  startAgain(): Promise<void>;
  /** Stops the server and removes its folder. */
  stop(): Promise<void>;
}

/** Are there programs to start a server with? Tests that need one skip visibly where there are none. */
export async function hasPostgres(): Promise<boolean> {
  return (await locatePostgres()) !== null;
}

/** A PostgreSQL server of its own for one test file, on a free port in a folder of its own. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const programs = await locatePostgres();
  if (programs === null) throw new Error('PostgreSQL is not on this machine');
  const directory = await mkdtemp(join(tmpdir(), 'tidemill-postgres-'));
  const owner = await serverUser();
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, PASSWORD);
  if (owner !== null) for (const path of [directory, passwordFile]) await chown(path, owner.uid, owner.gid);
  const data = join(directory, 'data');
  const settings = { cwd: directory, ...(owner ?? {}) };
  await promisify(execFile)(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'tidemill', '-E', 'UTF8', '--locale=C', '-A', 'scram-sha-256', '--pwfile', passwordFile, '-N'],
    settings,
  );
  const port = await freePort();
  const secrets = [PASSWORD, encodeURIComponent(PASSWORD)];
  const urlOf = (database: string): string => `postgres://tidemill:${secrets[1]}@127.0.0.1:${port}/${database}`;
  const logFile = join(directory, 'log');
  let server: ChildProcess;
  const start = async (): Promise<void> => {
    const log = await open(logFile, 'a');
    server = spawn(
      join(programs, 'postgres'),
      ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', '', '-F', '-c', 'max_connections=60'],
      { ...settings, stdio: ['ignore', log.fd, log.fd] },
    );
    const child = server;
    try {
      for (;;) {
        try {
          await runSql(urlOf('postgres'), 'SELECT 1');
          return;
        } catch (error) {
          if (child.exitCode === null && child.signalCode === null) await sleep(50);
          else throw new Error(`PostgreSQL ended: ${messageOf(error)}\n${await readFile(logFile, 'utf8')}`);
        }
      }
    } finally {
      await log.close();
    }
  };
  const shutDown = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once('close', resolve));
    // Fast: clients are disconnected, nothing is waited for.
    server.kill('SIGINT');
    await ended;
  };
  await start();
  let databases = 0;
  return {
    secrets,
    createDatabase: async () => {
      const name = `d${++databases}`;
      await runSql(urlOf('postgres'), `CREATE DATABASE ${name}`);
      return urlOf(name);
    },
    shutDown,
    startAgain: start,
    stop: async () => {
      await shutDown();
      await rm(directory, { recursive: true });
    },
  };
}

/** A connection of one's own; the caller ends it. */
export async function connectSql(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, options: '-c search_path=tidemill' });
  await client.connect();
  return client;
}

/** Runs statements on a connection that they have for themselves; gives the rows of a single one. */
export async function runSql(url: string, statements: string): Promise<readonly Record<string, unknown>[]> {
  const client = await connectSql(url);
  try {
    return (await client.query<Record<string, unknown>>(statements)).rows;
  } finally {
    await client.end();
  }
}

/** The server refuses to run as root: then it runs as the user that its package made, or as nobody. */
async function serverUser(): Promise<{ readonly uid: number; readonly gid: number } | null> {
  if (process.getuid?.() !== 0) return null;
  for (const name of ['postgres', 'nobody']) {
    const idOf = async (option: string): Promise<number> =>
      Number((await promisify(execFile)('id', [option, name])).stdout.trim());
    try {
      return { uid: await idOf('-u'), gid: await idOf('-g') };
    } catch {
      // No such user: the next one.
    }
  }
  throw new Error('there is no user that PostgreSQL could run as');
}
