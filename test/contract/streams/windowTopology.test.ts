import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { groupId } from '../../../contracts/topics.js';
import type { CompiledWindows } from '../../../features/compiledWindows.js';
import { count, eventStream, last, max, mean, sum, t, windowed } from '../../../index.js';
import type { OutgoingRecord } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import { windowTopology } from '../../../streams/topologies/windows/windowTopology.js';
import { hasCaughtUp } from '../../support/caughtUp.js';
import { FailingSteps, STEPS } from '../../support/failingSteps.js';
import { randomNumbers } from '../../support/payments.js';
import {
  expectedWindows,
  latestResults,
  lineOf,
  valuesOf,
  type ExpectedWindow,
  type WindowText,
} from '../../support/windowOracle.js';

const project = 'memory';
const PARTITIONS = 3;
const START = Date.parse('2026-01-01T00:00:00Z');
const orders = eventStream('orders', {
  schema: {
    id: t.int(),
    at: t.timestamp(),
    customer: t.int(),
    shop: t.string().nullable(),
    city: t.string(),
    amount: t.decimal(2),
  },
  eventId: 'id',
  eventTime: 'at',
  key: 'customer',
  allowedLateness: '1m',
});
const aggregates = ({ amount, shop }: (typeof orders)['fields']) => ({
  orders: count(),
  total: sum(amount),
  average: mean(amount),
  greatest: max(amount),
  latest: last(shop),
});
const definitions: Readonly<Record<string, CompiledWindows>> = {
  'keyed as the topic, on close': windowed('a', orders).by('customer').tumbling('1m').aggregate(aggregates).to('out')
    .compiled,
  'keyed otherwise, on close': windowed('b', orders)
    .by('city')
    .hopping('2m', { every: '1m' })
    .aggregate(aggregates)
    .to('out').compiled,
  'sessions keyed otherwise, late ones revised': windowed('c', orders)
    .by('city')
    .session({ gap: '6s' })
    .aggregate(aggregates)
    .late({ update: '2m' })
    .to('out').compiled,
  'keyed otherwise, on update': windowed('d', orders)
    .by('city')
    .tumbling('1m')
    .aggregate(aggregates)
    .emit('onUpdate')
    .to('out').compiled,
};

/** Orders out of order, repeated, long out of date and broken. */
function made(seed: number, length: number): OutgoingRecord[] {
  const random = randomNumbers(seed);
  const below = (bound: number): number => Math.floor(random() * bound);
  return Array.from({ length }, (_, id) => id).flatMap((id) => {
    const what = random();
    const behind = what < 0.05 ? below(600_000) : what < 0.4 ? below(60_000) : 0;
    const customer = below(20);
    const order = {
      id,
      at: START + id * 400 - behind,
      customer,
      shop: what > 0.5 ? null : `shop "${below(9)}"`,
      city: `c${below(7)}`,
      amount: below(10_000) / 100,
    };
    const record = { topic: `${project}.orders`, key: String(customer), value: JSON.stringify(order) };
    if (what > 0.97) return [record, record];
    return what > 0.95 ? [record, { ...record, value: '{' }] : [record];
  });
}

describe.each(Object.entries(definitions))('windows %s', (_, windows) => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-windows-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each([1, 2])('are those of a batch, through failures at every step and rebalances (seed %i)', async (seed) => {
    const random = randomNumbers(seed * 101);
    const log = createMemoryLog({ clock: () => Date.parse('2026-06-01') });
    await log.ensureTopics([{ topic: `${project}.orders`, partitions: PARTITIONS }]);
    const topology = windowTopology({ project, windows, generation: 1, partitions: PARTITIONS, setsAside: true });
    const producer = await log.producer();
    const steps = new FailingSteps(random);
    const fatal: unknown[] = [];
    const start = (instance: string): Promise<RunningTopology> =>
      runTopology(topology, {
        log,
        instance,
        directory: join(folder, `${seed}`, instance),
        commitIntervalMs: 5,
        snapshotIntervalMs: 20,
        reach: steps.reach,
        onFatal: (error) => fatal.push(error),
      });
    const running = [await start('one')];
    const input = made(seed, 2_400);
    for (let at = 0; at < input.length; at += 200) {
      await producer.send(input.slice(at, at + 200));
      await sleep(10);
      if (at === 800) running.push(await start('two'));
      if (at === 1_600) await running.shift()?.stop();
    }
    const read = topology.sources.map(({ topic }) => topic);
    while (fatal.length === 0 && !(await hasCaughtUp(log, groupId(topology.identity), read))) await sleep(20);
    expect(fatal).toEqual([]);
    for (const each of running) await each.stop();

    const records = await readTopic(log, `${project}.orders`);
    const expected = expectedWindows(windows, records);
    const told = (await readTopic(log, `${project}.out`)).map((each) => jsonOf<WindowText>(each));
    const { latest, problems } = latestResults(told);
    expect(problems).toEqual([]);
    // Each task of windows that are keyed as the topic has the watermark of its own partition.
    const isKeyed = windows.key === windows.stream.topicKey;
    const isClosed = ({ key, end }: ExpectedWindow): boolean => {
      const own = expected.watermarks.get(partitionOf(String(key), PARTITIONS)) as number;
      return windows.emit === 'onUpdate' || end <= (isKeyed ? own : expected.watermark);
    };
    // A session that a late event opened again has not been told anew yet.
    const isOpen = new Set(
      expected.windows.filter((each) => !isClosed(each)).map(({ key, start }) => `${String(key)} ${start}`),
    );
    const settled = latest.filter(({ key, start }) => !isOpen.has(`${key} ${start}`));
    expect(settled.map((each) => lineOf(each, valuesOf(each))).sort()).toEqual(
      expected.windows
        .filter(isClosed)
        .map((each) => lineOf(each, each.values))
        .sort(),
    );
    expect(settled.length).toBeGreaterThan(20);
    if (windows.emit === 'onClose' && windows.reviseMs === 0) expect(told.length).toBe(settled.length);

    // What did not count ended once, too.
    const ended = async (topic: string): Promise<number> => (await readTopic(log, `${project}.${topic}`)).length;
    const counted = (outcome: string): number => expected.outcomes.filter((each) => each === outcome).length;
    expect([await ended('late'), await ended('duplicates'), await ended('dead-letters')]).toEqual([
      counted('late'),
      counted('duplicate'),
      counted('deadLetter'),
    ]);
    expect(new Set(steps.failures).size).toBe(STEPS.length);
  });
});
