import { describe } from 'vitest';
import { openRedisOnlineStore } from '../../../stores/online/redisOnlineStore.js';
import { healingSuite } from '../../support/healingSuite.js';
import { startTestKafka } from '../../support/kafka.js';
import { hasRedis, startTestRedis } from '../../support/redis.js';

describe.skipIf(!(await hasRedis()))('healing over Kafka and Redis', () => {
  let stop = async (): Promise<void> => {};
  healingSuite(
    'kafka',
    async () => {
      const [kafka, redis] = await Promise.all([startTestKafka(), startTestRedis()]);
      const store = openRedisOnlineStore({ url: redis.url, place: 'the test server' });
      stop = async () => {
        await store.close();
        await redis.stop();
        await kafka.stop();
      };
      return { log: kafka.log, store };
    },
    () => stop(),
  );
});
