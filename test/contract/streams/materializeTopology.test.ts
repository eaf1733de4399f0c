import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import { correctionsTopic } from '../../../contracts/topics.js';
import { customerSpending } from '../../../examples/fraud/project.js';
import type { Value } from '../../../features/types.js';
import type { Log, LogProducer } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { FeatureReader } from '../../../stores/online/featureReader.js';
import { openLmdbOnlineStore } from '../../../stores/online/lmdbOnlineStore.js';
import type { OnlineStore } from '../../../stores/online/onlineStore.js';
import { openRedisOnlineStore } from '../../../stores/online/redisOnlineStore.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import type { FailPoint } from '../../../streams/runtime/taskContext.js';
import { materializeTopology } from '../../../streams/topologies/materialize/materializeTopology.js';
import { FailingSteps } from '../../support/failingSteps.js';
import { eventsInLog, interpreted } from '../../support/materialized.js';
import { paymentRecord, payments, randomNumbers, START, type Payment } from '../../support/payments.js';
import { hasRedis, startTestRedis, type TestRedis } from '../../support/redis.js';

const view = customerSpending.compiled;
const PARTITIONS = 3;
const DAY = 86_400_000;
/** Wall clock of the log, the writers and the readers. */
const NOW = Date.parse('2026-01-01');

const isRedisHere = await hasRedis();
let folder: string;
let redis: TestRedis | null = null;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-materialize-'));
  if (isRedisHere) redis = await startTestRedis();
});
afterAll(async () => {
  await redis?.stop();
  await rm(folder, { recursive: true });
});

const adapters: readonly [name: string, open: () => OnlineStore][] = [
  ['LMDB', () => openLmdbOnlineStore({ folder: join(folder, 'lmdb') })],
  ['Redis', () => openRedisOnlineStore({ url: redis?.url ?? '', place: 'the test server' })],
];

/** A project of its own on a log in memory, with workers that materialize it. */
class World {
  readonly fatal: unknown[] = [];
  readonly problems: (string | null)[] = [];
  readonly running: RunningTopology[] = [];
  readonly reader: FeatureReader;

  private constructor(
    readonly project: string,
    readonly log: Log,
    readonly producer: LogProducer,
    readonly store: OnlineStore,
  ) {
    this.reader = new FeatureReader({ project, view, store, nowMs: () => NOW });
  }

  static async create(project: string, store: OnlineStore): Promise<World> {
    const log = createMemoryLog({ clock: () => NOW });
    await log.ensureTopics([{ topic: `${project}.transactions`, partitions: PARTITIONS }]);
    return new World(project, log, await log.producer(), store);
  }

  async send(all: readonly Payment[]): Promise<void> {
    await this.producer.send(all.map((each) => paymentRecord(this.project, each)));
  }

  async start(instance: string, generation = 1, reach?: (point: FailPoint) => void): Promise<RunningTopology> {
    const { project, log, store } = this;
    const onProblem = (problem: string | null): void => void this.problems.push(problem);
    const running = await runTopology(
      materializeTopology({ project, view, generation, partitions: PARTITIONS, store, onProblem, nowMs: () => NOW }),
      {
        log,
        instance,
        directory: join(folder, project, instance),
        commitIntervalMs: 5,
        snapshotIntervalMs: 20,
        ...(reach === undefined ? {} : { reach }),
        onFatal: (error) => this.fatal.push(error),
      },
    );
    this.running.push(running);
    return running;
  }

  /** Waits until the generation that serves is marked up to the end of the log. */
  async caughtUp(generation = 1): Promise<void> {
    const identity = { project: this.project, name: view.name, hash: view.hash };
    for (;;) {
      const ends = await this.log.offsets(`${this.project}.transactions`);
      const marks = await this.store.marks(identity, generation).catch(() => null);
      const isThere = ends.every(({ partition, high }) => (marks?.get(partition)?.offset ?? -1) >= high);
      if (isThere && (await this.store.serving(identity)) === generation) return;
      if (this.fatal.length > 0) throw this.fatal[0] as Error;
      await sleep(10);
    }
  }

  /** Every key of the log, at the end of time and a while later, is in the store as the interpreter has it. */
  async expectParity(corrected: readonly number[] = []): Promise<void> {
    const { byKey, late, newest } = await eventsInLog(this.log, this.project, view);
    for (const event of late) {
      if (!corrected.includes(event.id as number)) continue;
      const key = event.values[view.key] as Value;
      byKey.set(key, [...(byKey.get(key) ?? []), event]);
    }
    expect(byKey.size).toBeGreaterThan(100);
    for (const at of [newest, newest + DAY]) {
      const found = await this.reader.read([...byKey.keys(), -1], at);
      const expected = [...byKey, [-1, []] as const].map(([key, events]) => ({
        key,
        ...interpreted(view, events, at),
      }));
      expect(
        found.map(({ key, ageMs, features }) => ({
          key,
          values: features.map(({ value }) => value),
          statuses: features.map(({ status }) => status),
          ageMs,
        })),
      ).toEqual(expected);
      expect(found.every(({ freshness }) => freshness === 'fresh')).toBe(true);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.running.map((each) => each.stop()));
    await this.producer.close();
    await this.log.close();
  }
}

describe.each(adapters)('materialization to %s', (name, open) => {
  const isHere = name !== 'Redis' || isRedisHere;
  let store: OnlineStore;
  beforeAll(() => {
    store = open();
  });
  afterAll(() => store.close());

  test.skipIf(!isHere).each([1, 2])(
    'equals the interpreter for every key through failures at every step and rebalances (seed %i)',
    async (seed) => {
      const world = await World.create(`${name}-failures-${seed}`, store);
      const random = randomNumbers(seed * 77);
      const steps = new FailingSteps(random, 0.05);
      await world.start('one', 1, steps.reach);
      const live = payments(3_000, { seed, everyMs: 300_000 });
      for (let at = 0; at < live.length; at += 300) {
        const part = live.slice(at, at + 300);
        await world.send(part);
        // Repeated, late and broken records change nothing.
        await world.send(part.slice(0, 20));
        await world.send(part.slice(0, 5).map((each) => ({ ...each, id: each.id + 90_000, at: each.at - 3 * DAY })));
        await world.producer.send([{ topic: `${world.project}.transactions`, key: '1', value: '{' }]);
        await sleep(15);
        if (at === 1_500) await world.start('two', 1, steps.reach);
      }
      await world.caughtUp();
      await world.expectParity();
      expect(new Set(steps.failures).size).toBeGreaterThan(3);
      await world.stop();
      expect(world.fatal).toEqual([]);
    },
  );

  test.skipIf(!isHere)(
    'a write lost between the commit and the store is made up for, without another record',
    async () => {
      const world = await World.create(`${name}-lost`, store);
      // The store is reached only after the process came back: every write until then is lost.
      let isLost = true;
      const lossy: OnlineStore = Object.assign(Object.create(store) as OnlineStore, {
        write: async (...args: Parameters<OnlineStore['write']>) => {
          if (isLost) throw new TidemillError('PRODUCER_UNUSABLE', 'the process ends here');
          return store.write(...args);
        },
      });
      Object.assign(world, { store: lossy });
      await world.send(payments(1_000, { seed: 4 }));
      await world.start('one');
      await sleep(200);
      expect(await store.serving({ project: world.project, name: view.name, hash: view.hash })).toBeNull();
      isLost = false;
      await world.caughtUp();
      await world.expectParity();
      await world.stop();
    },
  );

  test.skipIf(!isHere)(
    'a new generation is built beside the one that serves and replaces it; the old writer ends',
    async () => {
      const world = await World.create(`${name}-rebuild`, store);
      await world.send(payments(1_500, { seed: 5 }));
      const old = await world.start('one', 1);
      await world.caughtUp(1);
      await world.start('two', 2);
      await world.send(payments(500, { seed: 6, firstId: 5_000, from: START + 1_500 * 20_000 }));
      while (world.fatal.length === 0) {
        // Readers never find less than there was.
        const [features] = await world.reader.read([1], START + 2_000 * 20_000);
        expect(features?.freshness).toBe('fresh');
        await sleep(5);
      }
      expect(world.fatal[0]).toMatchObject({ code: 'ONLINE_GENERATION_RETIRED' });
      world.fatal.length = 0;
      await old.stop();
      world.running.splice(world.running.indexOf(old), 1);
      world.fatal.length = 0;
      await world.caughtUp(2);
      await world.expectParity();
      await world.stop();
    },
  );

  test.skipIf(!isHere)('a store that another log has filled is refused and left as it is', async () => {
    const world = await World.create(`${name}-ahead`, store);
    const identity = { project: world.project, name: view.name, hash: view.hash };
    const mark = { offset: 10_000, corrections: 0, watermark: START, newest: START, confirmedAt: START };
    await store.mark(identity, { generation: 1, partition: 0, name: 'another' }, mark, null);
    await world.send(payments(50, { seed: 11 }));
    await world.start('one');
    while (world.fatal.length === 0) await sleep(10);
    expect(world.fatal[0]).toMatchObject({ code: 'ONLINE_AHEAD', details: { marked: 10_000, partition: 0 } });
    expect((await store.marks(identity, 1)).get(0)).toEqual(mark);
    await world.stop();
  });

  test.skipIf(!isHere)(
    'a view whose writer is behind its stream is stale, however lately it was confirmed',
    async () => {
      const project = `${name}-behind`;
      const nowMs = (): number => NOW;
      const topology = materializeTopology({ project, view, generation: 1, partitions: 1, store, nowMs });
      const task = topology.createTask(`${view.name}-0`, []);
      const [payment] = payments(1, { seed: 14 });
      const { topic, key, value } = paymentRecord(project, payment as Payment);
      const timestamp = NOW - 3_600_000;
      const bytes = Buffer.from(value as string);
      const record = {
        topic,
        partition: 0,
        offset: 0,
        timestamp,
        key: Buffer.from(key as string),
        value: bytes,
        headers: {},
      };
      task.fold(task.parse(record), { emit: () => undefined, deadLetter: () => undefined }, false);
      const reader = new FeatureReader({ project, view, store, nowMs });
      const settled = async (hasMore: boolean): Promise<unknown> => {
        const offsets = new Map([[`${topic}-0`, 1]]);
        task.committed(offsets);
        await task.settle?.(offsets, true, hasMore);
        return (await reader.read([1], NOW))[0];
      };
      expect(await settled(true)).toMatchObject({ freshness: 'stale', confirmedAt: NOW, completeAt: timestamp });
      expect(await settled(false)).toMatchObject({ freshness: 'fresh', confirmedAt: NOW, completeAt: NOW });
    },
  );

  test.skipIf(!isHere)('an event that came too late is inserted by a correction', async () => {
    const world = await World.create(`${name}-corrections`, store);
    await world.start('one');
    const all = payments(1_000, { seed: 7, everyMs: 600_000 });
    await world.send(all);
    await world.send(all.slice(0, 40).map((each) => ({ ...each, id: each.id + 90_000 })));
    await world.caughtUp();
    await world.expectParity();
    const { late } = await eventsInLog(world.log, world.project, view);
    expect(late.length).toBeGreaterThan(10);
    const topic = correctionsTopic(world.project, view.name);
    await world.producer.send(
      late.map(({ partition, offset, values, id, time }) => {
        const [customer, terminal, amount] = ['customer', 'terminal', 'amount'].map(
          (field) => values[view.stream.fields.findIndex((each) => each.name === field)] as number,
        );
        const value = JSON.stringify({ id, at: time, customer, terminal, amount: (amount as number) / 100 });
        return { topic, partition, key: String(customer), value: JSON.stringify({ partition, offset, value }) };
      }),
    );
    const identity = { project: world.project, name: view.name, hash: view.hash };
    const corrected = async (): Promise<boolean> => {
      const ends = await world.log.offsets(topic);
      const marks = await store.marks(identity, 1);
      return ends.every(({ partition, high }) => (marks.get(partition)?.corrections ?? -1) >= high);
    };
    while (!(await corrected())) await sleep(10);
    await world.expectParity(late.map(({ id }) => id as number));
    await world.stop();
  });
});

describe.skipIf(!isRedisHere)('materialization to a Redis that fails', () => {
  let store: OnlineStore;
  beforeAll(() => {
    store = openRedisOnlineStore({ url: redis?.url ?? '', place: 'the test server' });
  });
  afterAll(() => store.close());

  test('what a flush took is written again from the state, also where nothing comes in any more', async () => {
    const world = await World.create('redis-flushed', store);
    await world.start('one');
    await world.send(payments(1_000, { seed: 8 }));
    await world.caughtUp();
    const client = new Redis(redis?.url ?? '');
    await client.flushall();
    client.disconnect();
    await world.caughtUp();
    await world.expectParity();
    await world.stop();
  });

  test('what changes while it is away is written when it is back, and the log goes on meanwhile', async () => {
    const world = await World.create('redis-away', store);
    await world.start('one');
    await world.send(payments(1_000, { seed: 9 }));
    await world.caughtUp();
    await redis?.shutDown();
    await world.send(payments(1_000, { seed: 10, firstId: 5_000, from: START + 1_000 * 20_000 }));
    while (world.problems.length === 0) await sleep(10);
    expect(world.problems[0]).toContain('the test server');
    await redis?.startAgain();
    await world.caughtUp();
    await world.expectParity();
    expect(world.problems).toContain(null);
    await world.stop();
    expect(world.fatal).toEqual([]);
  });
});
