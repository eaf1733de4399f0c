import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startRedis } from '../../../infra/redis.js';
import { requireThat, type StreamFault } from './streamFault.js';

const DOWN_MS = 30_000;
const SLOW_MS = 8_000;
const LATENCY_MS = 300;
const NOTICED_MS = 30_000;

async function asked<T>(port: number, ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: 3 });
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

export const ONLINE_FAULTS: readonly StreamFault[] = [
  {
    family: 'online store',
    fault: 'flushed',
    run: async ({ cluster }) => {
      await sleep(1_500);
      const [before, after] = await asked(cluster.redis.port, async (redis) => {
        const held = await redis.dbsize();
        await redis.flushall();
        return [held, await redis.dbsize()];
      });
      requireThat(before > 100 && after < before, `there were ${before} keys before and ${after} after`);
    },
  },
  {
    family: 'online store',
    fault: 'stopped for 30 s',
    run: async ({ cluster }) => {
      const from = await cluster.logs.end('online');
      const { port } = cluster.redis;
      await cluster.redis.stop();
      await sleep(DOWN_MS);
      requireThat(
        (await cluster.logs.find('online', /"level":40.*Redis at/, from, 0)) !== null,
        'nobody noticed that the online store was away',
      );
      cluster.redis = await startRedis({ directory: join(cluster.directory, 'redis'), port });
    },
  },
  {
    family: 'online store',
    fault: `slow: ${LATENCY_MS} ms each way, and all connections cut in the midst of it`,
    run: async ({ cluster }) => {
      cluster.redisProxy.delay(LATENCY_MS);
      try {
        await sleep(SLOW_MS / 2);
        requireThat(cluster.redisProxy.cut() > 0, 'nobody was connected to the online store');
        await sleep(SLOW_MS / 2);
      } finally {
        cluster.redisProxy.delay(0);
      }
    },
  },
  {
    family: 'online store',
    fault: 'failed over to a replica: the old master takes reads alone',
    run: async ({ cluster, random }) => {
      const old = cluster.redis;
      const directory = join(cluster.directory, `redis-${random.word()}`);
      const replica = await startRedis({ directory });
      const from = await cluster.logs.end('online');
      await asked(replica.port, async (redis) => {
        await redis.replicaof('127.0.0.1', old.port);
        while (!(await redis.info('replication')).includes('master_link_status:up')) await sleep(100);
        await redis.replicaof('NO', 'ONE');
      });
      // Nobody is cut off: who is connected finds out by what is answered.
      cluster.redisProxy.retarget(replica.port);
      await asked(old.port, (redis) => redis.replicaof('127.0.0.1', replica.port));
      cluster.redis = replica;
      requireThat(
        (await cluster.logs.find('online', /"level":40.*READONLY/, from, NOTICED_MS)) !== null,
        'no write was refused by the old master',
      );
      requireThat(
        (await cluster.logs.find('online', /the online store is back/, from, NOTICED_MS)) !== null,
        'the writer never came to the new master',
      );
      await old.stop();
    },
  },
];
