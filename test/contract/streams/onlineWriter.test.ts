import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import { customerSpending } from '../../../examples/fraud/project.js';
import { createViewOperator } from '../../../features/operator/createViewOperator.js';
import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import { openLmdbOnlineStore } from '../../../stores/online/lmdbOnlineStore.js';
import type { OnlineStore, ViewIdentity } from '../../../stores/online/onlineStore.js';
import { openRedisOnlineStore } from '../../../stores/online/redisOnlineStore.js';
import { OnlineViewWriter, type Committed } from '../../../streams/topologies/materialize/onlineWriter.js';
import { START } from '../../support/payments.js';
import { hasRedis, startTestRedis, type TestRedis } from '../../support/redis.js';

const view = customerSpending.compiled;
const writer = { generation: 1, partition: 0, name: 'one' };
/** More than go in one write. */
const KEYS = Array.from({ length: 450 }, (_, key) => key);

const isRedisHere = await hasRedis();
let folder: string;
let redis: TestRedis | null = null;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-online-writer-'));
  if (isRedisHere) redis = await startTestRedis();
});
afterAll(async () => {
  await redis?.stop();
  await rm(folder, { recursive: true });
});

/** A server that answers, and is replaced before anybody else has heard of it: what it answered has not happened. */
class Forgetful {
  isForgetting = false;
  /** Of the calls that write entries, those by number that are forgotten. */
  forgotten: readonly number[] = [];
  private writes = 0;
  readonly store: OnlineStore;

  constructor(store: OnlineStore) {
    const isForgotten = (): boolean => this.isForgetting;
    const isWriteForgotten = (): boolean => this.forgotten.includes(this.writes++) || this.isForgetting;
    this.store = Object.assign(Object.create(store) as OnlineStore, {
      write: (...args: Parameters<OnlineStore['write']>) =>
        isWriteForgotten() ? Promise.resolve(args[2].map(() => 'written' as const)) : store.write(...args),
      mark: (...args: Parameters<OnlineStore['mark']>) =>
        isForgotten() ? Promise.resolve('marked' as const) : store.mark(...args),
      serve: (...args: Parameters<OnlineStore['serve']>) =>
        isForgotten() ? Promise.resolve({ kind: 'switched' as const, replaced: [] }) : store.serve(...args),
    });
  }
}

const adapters: readonly [name: string, open: () => OnlineStore][] = [
  ['LMDB', () => openLmdbOnlineStore({ folder: join(folder, 'lmdb') })],
  ['Redis', () => openRedisOnlineStore({ url: redis?.url ?? '', place: 'the test server' })],
];

describe.each(adapters.filter(([name]) => name !== 'Redis' || isRedisHere))('a writer of %s', (name, open) => {
  let store: OnlineStore;
  let server: Forgetful;
  let identity: ViewIdentity;
  let operator: ViewOperator;
  let online: OnlineViewWriter;
  let views = 0;
  beforeAll(() => {
    store = open();
  });
  afterAll(() => store.close());
  beforeEach(() => {
    server = new Forgetful(store);
    identity = { project: `writer-${name}`, name: `view_${++views}`, hash: view.hash };
    operator = createViewOperator(view);
    const options = { store: server.store, identity, view, writer, partitions: 1, nowMs: () => START };
    online = new OnlineViewWriter(options, operator);
  });

  const committed = (offset: number, corrections = 0): Committed => {
    return { offset, corrections, watermark: START, newest: START };
  };
  const insert = (key: number, offset: number): void => {
    operator.insert(key, START + offset, offset, [offset, START + offset, key, 1, 100], 0, offset);
    online.note(key, START + offset);
  };
  /** Every key is in the store as it is here. */
  const expectAll = async (): Promise<void> => {
    const { entries } = await store.read(identity, KEYS);
    const found = entries.map((entry) => (entry === null ? null : Buffer.concat(entry.chunks).toString('hex')));
    expect(found).toEqual(KEYS.map((key) => Buffer.from(operator.encodeKey(key) ?? []).toString('hex')));
  };

  test.each([[[0]], [[1]], [[2]], [[0, 3]]])(
    'writes again what a server forgot before the mark (writes %j)',
    async (forgotten) => {
      for (const key of KEYS) insert(key, key);
      server.forgotten = forgotten;
      await online.bringTo(committed(KEYS.length), true);
      await expectAll();
    },
  );

  test('writes again what a server forgot between two marks, and only that', async () => {
    for (const key of KEYS) insert(key, key);
    await online.bringTo(committed(KEYS.length), true);
    insert(7, 1_000);
    server.forgotten = [3];
    await online.bringTo(committed(1_001), true);
    await expectAll();
    expect((await store.marks(identity, 1)).get(0)?.offset).toBe(1_001);
  });

  test('writes corrections again that a server forgot with their mark, although no record came since', async () => {
    for (const key of KEYS) insert(key, key);
    await online.bringTo(committed(KEYS.length), true);
    server.isForgetting = true;
    insert(7, 3);
    await online.bringTo(committed(KEYS.length, 1), true);
    server.isForgetting = false;
    await online.bringTo(committed(KEYS.length, 1), true);
    await expectAll();
  });

  test('serves again where a server forgot that it does', async () => {
    for (const key of KEYS) insert(key, key);
    await online.bringTo(committed(KEYS.length), false);
    server.isForgetting = true;
    await online.bringTo(committed(KEYS.length), true);
    server.isForgetting = false;
    expect(await store.serving(identity)).toBeNull();
    await online.bringTo(committed(KEYS.length), true);
    expect(await store.serving(identity)).toBe(1);
    await expectAll();
  });

  test('removes the generation before, also where the store goes away in the midst of that', async () => {
    insert(7, 1);
    await online.bringTo(committed(10), true);
    let failures = 0;
    const leaving: OnlineStore = Object.assign(Object.create(store) as OnlineStore, {
      drop: (...args: Parameters<OnlineStore['drop']>) => {
        if (failures++ === 0) throw new TidemillError('ONLINE_UNAVAILABLE', 'it went away');
        return store.drop(...args);
      },
    });
    const options = { store: leaving, identity, view, partitions: 1, nowMs: () => START };
    const next = new OnlineViewWriter({ ...options, writer: { ...writer, generation: 2 } }, operator);
    await expect(next.bringTo(committed(10), true)).rejects.toMatchObject({ code: 'ONLINE_UNAVAILABLE' });
    expect(await store.serving(identity)).toBe(2);
    expect((await store.marks(identity, 1)).size).toBe(1);
    await next.bringTo(committed(10), true);
    expect((await store.marks(identity, 1)).size).toBe(0);
    expect(failures).toBe(2);
  });
});
