import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, TidemillError } from '../contracts/errors.js';
import { cacheFolder } from './cache.js';
import { programOnPath, runCommand } from './command.js';
import type { Progress } from './kafka.js';
import { awaitReady, startDetached, stopProcess, type ProcessIdentity } from './managedProcess.js';
import { answers, freePort, requirePort } from './ports.js';

/** Version of the Temporal CLI whose server the local runtime starts (server 1.29.1, UI and SQLite inside). */
export const TEMPORAL_CLI_VERSION = '1.5.1';

/** Search attributes that the workflows set; all of type Keyword. */
export const SEARCH_ATTRIBUTES = ['TidemillModel', 'TidemillPhase', 'TidemillVersion'] as const;

export interface StartedTemporal {
  /** host:port of the frontend */
  readonly address: string;
  readonly port: number;
  readonly uiPort: number;
  readonly uiUrl: string;
  readonly identity: ProcessIdentity;
  stop(): Promise<void>;
}

/**
 * The Temporal CLI: TIDEMILL_TEMPORAL_CLI, else PATH, else the cache, filled by `go install` where Go is on PATH.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE naming three ways to supply it.
 */
export async function findTemporal(progress: Progress = () => undefined): Promise<string> {
  const given = process.env['TIDEMILL_TEMPORAL_CLI'] ?? (await programOnPath('temporal'));
  if (given !== null) return given;
  const folder = cacheFolder(`temporal-${TEMPORAL_CLI_VERSION}`);
  const cached = join(folder, 'temporal');
  if (await exists(cached)) return cached;
  let problem = 'go is not on PATH';
  const go = await programOnPath('go');
  if (go !== null) {
    progress('building the Temporal CLI with Go (some minutes, once)');
    await mkdir(folder, { recursive: true });
    try {
      await runCommand(go, ['install', `github.com/temporalio/cli/cmd/temporal@v${TEMPORAL_CLI_VERSION}`], {
        env: { ...process.env, GOBIN: folder },
      });
      return cached;
    } catch (error) {
      problem = messageOf(error);
    }
  }
  throw new TidemillError(
    'RUNTIME_UNAVAILABLE',
    `Temporal cannot be had. Either set TIDEMILL_TEMPORAL to a frontend's host:port, or put the Temporal CLI on PATH ` +
      `(brew install temporal), or install Go, which builds it. Tried: ${problem}`,
    { service: 'temporal', problem },
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
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
  const { directory } = options;
  const program = await findTemporal(options.progress);
  const port = options.port ?? (await freePort());
  const uiPort = options.uiPort ?? (await freePort());
  await requirePort('temporal', port);
  await requirePort('temporal ui', uiPort);
  await mkdir(directory, { recursive: true });
  options.progress?.('starting Temporal');
  const logFile = join(directory, 'temporal.log');
  await rm(logFile, { force: true });
  const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)];
  args.push('--db-filename', join(directory, 'temporal.db'), '--log-level', 'error');
  for (const name of SEARCH_ATTRIBUTES) args.push('--search-attribute', `${name}=Keyword`);
  const identity = await startDetached(program, args, { logFile });
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
    identity,
    stop: () => stopProcess(identity),
  };
}
