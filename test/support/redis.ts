import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateRedis } from '../../infra/findRedis.js';
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

/** Is there a program to start a server with? Tests that need one skip visibly where there is none. */
export async function hasRedis(): Promise<boolean> {
  return (await locateRedis()) !== null;
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
