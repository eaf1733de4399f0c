import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRedis } from '../../infra/findRedis.js';
import { freePort } from '../../infra/ports.js';
import { startRedis, type StartedRedis } from '../../infra/redis.js';

export interface TestRedis {
  readonly url: string;
  /** Stops the server; `startAgain` starts it on the same port with the same data. */
  shutDown(): Promise<void>;
  startAgain(): Promise<void>;
  /** Stops the server and removes its folder. */
  stop(): Promise<void>;
}

/** Can a program be had to start a server with? Tests that need one skip visibly where it cannot. */
export async function hasRedis(): Promise<boolean> {
  return findRedis().then(
    () => true,
    () => false,
  );
}

/** A Redis server of its own for one test file, on a free port in a folder of its own. */
export async function startTestRedis(): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemill-redis-'));
  const port = await freePort();
  let server: StartedRedis = await startRedis({ directory, port });
  return {
    url: `redis://127.0.0.1:${port}`,
    shutDown: () => server.stop(),
    startAgain: async () => {
      server = await startRedis({ directory, port });
    },
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true });
    },
  };
}
