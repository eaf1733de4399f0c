import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAY_MS } from '../contracts/duration.js';
import { messageOf } from '../contracts/errors.js';
import { customerSpending } from '../examples/fraud/project.js';
import { createViewOperator } from '../features/operator/createViewOperator.js';
import { startRedis } from '../infra/redis.js';
import { FeatureReader } from '../stores/online/featureReader.js';
import { openLmdbOnlineStore } from '../stores/online/lmdbOnlineStore.js';
import { openRedisOnlineStore } from '../stores/online/redisOnlineStore.js';
import type { EntryWrite, OnlineStore } from '../stores/online/onlineStore.js';

/**
 * Reads of one key's features from the online store, values computed: six windowed features over about 57 events a key in 30
 * days. One reader after the other and eight side by side, in one process. `npm run bench -- online`
 */
const KEYS = 5_000;
const EVENTS_PER_KEY = 57;
const READS = 20_000;
const WARM_UP = 2_000;
const view = customerSpending.compiled;
const project = 'bench';
const NOW = 60 * DAY_MS;

/** Multiplicative congruential generator; only spreads keys. */
let seed = 1;
function below(bound: number): number {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed % bound;
}

interface Result {
  readonly store: string;
  readonly readers: number;
  readonly readsPerSecond: number;
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
}

async function fill(store: OnlineStore): Promise<void> {
  const identity = { project, name: view.name, hash: view.hash };
  const writer = { generation: 1, partition: 0, name: 'bench' };
  const operator = createViewOperator(view);
  const writes: EntryWrite[] = [];
  let id = 0;
  for (let key = 0; key < KEYS; key++) {
    for (let event = 0; event < EVENTS_PER_KEY; event++, id++) {
      const time = NOW - Math.floor(((EVENTS_PER_KEY - event) * 30 * DAY_MS) / EVENTS_PER_KEY) + below(60_000);
      operator.insert(key, time, id, [id, time, key, below(10_000), below(20_000)], 0, id);
    }
    writes.push({
      key,
      offset: id,
      base: null,
      chunks: [{ start: 0, bytes: operator.encodeKey(key) as Uint8Array }],
      dropped: [],
    });
  }
  await store.write(identity, writer, writes);
  const mark = { offset: id, corrections: 0, watermark: NOW, newest: NOW, confirmedAt: Date.now() };
  await store.mark(identity, writer, mark, null);
  await store.serve(identity, writer, 1);
}

async function measure(name: string, store: OnlineStore, readers: number): Promise<Result> {
  const reader = new FeatureReader({ project, view, store });
  const micros: number[] = [];
  const run = async (reads: number): Promise<void> => {
    for (let at = 0; at < reads; at++) {
      const started = performance.now();
      const [found] = await reader.read([below(KEYS)], NOW + DAY_MS);
      micros.push((performance.now() - started) * 1_000);
      if (found?.features[0]?.status !== 'PRESENT') throw new Error('invariant broken: a key is missing');
    }
  };
  await run(WARM_UP);
  micros.length = 0;
  const started = performance.now();
  await Promise.all(Array.from({ length: readers }, () => run(READS / readers)));
  const seconds = (performance.now() - started) / 1_000;
  micros.sort((a, b) => a - b);
  const quantile = (share: number): number => Math.round(micros[Math.floor(share * micros.length)] as number);
  return {
    store: name,
    readers,
    readsPerSecond: Math.round(READS / seconds),
    p50Microseconds: quantile(0.5),
    p99Microseconds: quantile(0.99),
  };
}

async function bench(name: string, store: OnlineStore): Promise<Result[]> {
  try {
    await fill(store);
    return [await measure(name, store, 1), await measure(name, store, 8)];
  } finally {
    await store.close();
  }
}

const folder = await mkdtemp(join(tmpdir(), 'tidemill-bench-online-'));
const results = await bench('LMDB', openLmdbOnlineStore({ folder: join(folder, 'lmdb') }));
const redis = await startRedis({ directory: join(folder, 'redis') }).catch((error: unknown) => {
  console.error(`without Redis: ${messageOf(error)}`);
  return null;
});
if (redis !== null) {
  const store = openRedisOnlineStore({ url: `redis://${redis.address}`, place: redis.address });
  results.push(...(await bench('Redis', store).finally(() => redis.stop())));
}
await rm(folder, { recursive: true });
if (process.argv.includes('--json')) console.log(JSON.stringify(results));
else {
  for (const { store, readers, readsPerSecond, p50Microseconds, p99Microseconds } of results) {
    console.log(
      `${store}, ${readers} at a time: ${readsPerSecond} reads/s, p50 ${p50Microseconds} and p99 ${p99Microseconds} microseconds`,
    );
  }
}
