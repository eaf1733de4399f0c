import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Progress } from './command.js';
import { findTemporal } from './findTemporal.js';
import { awaitReady, findProcess, startDetached, stopProcess, type ProcessIdentity } from './managedProcess.js';
import { answers, freePort, requirePort } from './ports.js';

/** Search attributes that the workflows set; all of type Keyword. */
export const SEARCH_ATTRIBUTES = ['TidemillModel', 'TidemillPhase', 'TidemillVersion'] as const;

export interface StartedTemporal {
  /** host:port of the frontend */
  readonly address: string;
  readonly port: number;
  readonly uiPort: number;
  readonly uiUrl: string;
  readonly pid: number;
  readonly identity: ProcessIdentity;
  stop(): Promise<void>;
}

/**
 * Starts a development server with its database under `directory`, which may hold that of an earlier run.
 *
 * @param options.port, options.uiPort default: free ones.
 * @throws TidemillError RUNTIME_UNAVAILABLE, RUNTIME_PORT_TAKEN, RUNTIME_START_FAILED
 */
export async function startTemporal(options: {
  readonly directory: string;
  readonly port?: number;
  readonly uiPort?: number;
  readonly progress?: Progress;
}): Promise<StartedTemporal> {
  const directory = resolve(options.directory);
  const program = await findTemporal(options.progress);
  const port = options.port ?? (await freePort());
  const uiPort = options.uiPort ?? (await freePort());
  await requirePort('temporal', port);
  await requirePort('temporal ui', uiPort);
  await mkdir(directory, { recursive: true });
  options.progress?.('starting Temporal');
  const logFile = logFileOf(directory);
  await rm(logFile, { force: true });
  const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)];
  args.push('--db-filename', databaseOf(directory), '--log-level', 'error');
  for (const name of SEARCH_ATTRIBUTES) args.push('--search-attribute', `${name}=Keyword`);
  const identity = await startDetached(program, args, { logFile });
  return whenReady(directory, identity, port, uiPort);
}

/** The server that already runs on the database of `directory`, whoever started it; null where there is none (or no /proc). */
export async function adoptTemporal(relative: string): Promise<StartedTemporal | null> {
  const directory = resolve(relative);
  let ports: { readonly port: number; readonly uiPort: number } | null = null;
  const identity = await findProcess((args) => {
    if (!args.includes('start-dev') || !args.includes(databaseOf(directory))) return false;
    const numberAfter = (option: string): number => Number(args[args.indexOf(option) + 1]);
    ports = { port: numberAfter('--port'), uiPort: numberAfter('--ui-port') };
    return true;
  });
  if (identity === null || ports === null) return null;
  const { port, uiPort } = ports as { readonly port: number; readonly uiPort: number };
  return whenReady(directory, identity, port, uiPort);
}

async function whenReady(
  directory: string,
  identity: ProcessIdentity,
  port: number,
  uiPort: number,
): Promise<StartedTemporal> {
  const logFile = logFileOf(directory);
  await awaitReady('temporal', identity, logFile, async () => {
    const log = await readFile(logFile, 'utf8').catch(() => '');
    // The banner comes when the namespace and the search attributes are there.
    return /^Metrics:/m.test(log) && (await answers(port));
  });
  return {
    address: `127.0.0.1:${port}`,
    port,
    uiPort,
    uiUrl: `http://127.0.0.1:${uiPort}`,
    pid: identity.pid,
    identity,
    stop: () => stopProcess(identity),
  };
}

function databaseOf(directory: string): string {
  return join(directory, 'temporal.db');
}

function logFileOf(directory: string): string {
  return join(directory, 'temporal.log');
}
