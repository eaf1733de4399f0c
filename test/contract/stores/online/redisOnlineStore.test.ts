import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Proxy } from '../../../../bench/chaos/streams/proxy.js';
import { openRedisOnlineStore } from '../../../../stores/online/redisOnlineStore.js';
import type { OnlineStore } from '../../../../stores/online/onlineStore.js';
import { hasRedis, startTestRedis, type TestRedis } from '../../../support/redis.js';
import { describeOnlineStore, markAt, whole } from './onlineSuite.js';

const isRedisHere = await hasRedis();
const open = ({ url }: TestRedis): OnlineStore => openRedisOnlineStore({ url, place: 'the test server' });

describe.skipIf(!isRedisHere)('with a Redis server', () => {
  describeOnlineStore('Redis online store', async () => {
    const redis = await startTestRedis();
    return { open: () => open(redis), dispose: () => redis.stop() };
  });

  describe('Redis that goes and comes back', () => {
    const view = { project: 'p', name: 'spending', hash: 'a'.repeat(64) };
    const writer = { generation: 1, partition: 0, name: 'w' };
    let redis: TestRedis;
    let store: OnlineStore;
    beforeAll(async () => {
      redis = await startTestRedis();
      store = open(redis);
    });
    afterAll(async () => {
      await store.close();
      await redis.stop();
    });

    test('fails with ONLINE_UNAVAILABLE while it is away, without a word of the password, and serves on as it was', async () => {
      await store.write(view, writer, [whole(1, 1, 'one')]);
      await store.mark(view, writer, markAt(1), null);
      await store.serve(view, writer, 1);
      await redis.shutDown();
      const secret = openRedisOnlineStore({ url: redis.url.replace('//', '//me:s3cret@'), place: 'there' });
      for (const asked of [
        () => store.read(view, [1]),
        () => store.write(view, writer, [whole(1, 2, 'two')]),
        () => secret.serving(view),
      ]) {
        const error = await asked().then(
          () => null,
          (thrown: unknown) => thrown as Error,
        );
        expect(error).toMatchObject({ code: 'ONLINE_UNAVAILABLE' });
        expect(String(error)).not.toContain('s3cret');
      }
      await secret.close();
      await redis.startAgain();
      const { entries } = await store.read(view, [1]);
      expect(entries[0]?.offset).toBe(1);
      expect(await store.mark(view, writer, markAt(2), markAt(1))).toBe('marked');
    });
  });

  test('a master that has become a replica is written to no more: its successor behind the same address is', async () => {
    const view = { project: 'p', name: 'spending', hash: 'b'.repeat(64) };
    const writer = { generation: 1, partition: 0, name: 'w' };
    const [before, after] = await Promise.all([startTestRedis(), startTestRedis()]);
    const portOf = ({ url }: TestRedis): number => Number(new URL(url).port);
    const proxy = await Proxy.start(portOf(before));
    const store = openRedisOnlineStore({ url: `redis://127.0.0.1:${proxy.port}`, place: 'behind an address' });
    const old = new Redis(before.url);
    try {
      expect(await store.write(view, writer, [whole(1, 1, 'one')])).toEqual(['written']);
      await old.replicaof('127.0.0.1', portOf(after));
      proxy.retarget(portOf(after));
      await expect(store.write(view, writer, [whole(1, 2, 'two')])).rejects.toMatchObject({
        code: 'ONLINE_UNAVAILABLE',
        message: expect.stringContaining('READONLY') as string,
      });
      const write = (): Promise<unknown> => store.write(view, writer, [whole(1, 2, 'two')]);
      await vi.waitFor(async () => expect(await write()).toEqual(['written']), { timeout: 20_000 });
    } finally {
      old.disconnect();
      await store.close();
      await proxy.close();
      await Promise.all([before.stop(), after.stop()]);
    }
  });
});
