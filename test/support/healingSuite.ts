import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { correctionsTopic } from '../../contracts/topics.js';
import { customerSpending } from '../../examples/fraud/project.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import { eventsInLog } from './materialized.js';
import { payments, START } from './payments.js';

import { HealingWorld, type HealingServers } from './healingWorld.js';
const view = customerSpending.compiled;
const DAY = 86_400_000;

/** What healing promises, over whichever log and store there are. */
export function healingSuite(
  name: string,
  open: () => Promise<Omit<HealingServers, 'folder'>>,
  close: () => Promise<void>,
): void {
  let servers: Omit<HealingServers, 'folder'>;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-healing-'));
    servers = await open();
  });
  afterAll(async () => {
    await close();
    await rm(folder, { recursive: true });
  });

  /** Payments of many days; then some of the days before once more, each an event of its own, behind the watermark. */
  const lateWorld = async (project: string): Promise<HealingWorld> => {
    const world = await HealingWorld.create({ ...servers, folder }, `${name}-${project}`);
    const all = payments(1_500, { seed: 7, everyMs: 1_800_000 });
    await world.send(all);
    await world.send(all.slice(-700, -600).map((each) => ({ ...each, id: each.id + 90_000 })));
    await world.send(all.slice(0, 5).map((each) => ({ ...each, id: each.id + 80_000, at: START - 400 * DAY })));
    await world.start();
    await world.caughtUp();
    return world;
  };

  test('late events that a view keeps are inserted once; then it equals the interpreter over all events', async () => {
    const world = await lateWorld('late');
    const { kept, forgotten } = await world.lateEvents();
    expect(kept.length).toBeGreaterThan(50);
    expect(forgotten.length).toBeGreaterThan(0);
    const differing = await world.differing();
    expect(differing.length).toBeGreaterThan(20);

    const only = await world.plan({ plan: true });
    const planned = await world.carryOut(only);
    expect(planned.reduce((sum, { lacking }) => sum + lacking, 0)).toBe(kept.length);
    expect(await world.corrections()).toEqual([]);

    const plan = await world.plan();
    const healed = await world.carryOut(plan);
    const keys = new Set(kept.map(({ values }) => values[view.key]));
    expect(await world.awaitIn(plan)).toEqual({ events: kept.length, inTime: 0, keys: keys.size });
    expect(healed.some(({ change }) => change !== null && change.before !== change.after)).toBe(true);
    expect(await world.differing()).toEqual([]);

    const again = await world.plan();
    expect((await world.carryOut(again)).every(({ lacking }) => lacking === 0)).toBe(true);
    expect(await world.awaitIn(again)).toEqual({ events: 0, inTime: 0, keys: 0 });
    expect(await world.corrections()).toHaveLength(kept.length);
    await world.stop();
  });

  test.each(['heal/before-write', 'heal/after-write'])(
    'an attempt that ends at %s is repeated, and nothing is written twice, though the topology stands still',
    async (point) => {
      const world = await lateWorld(point.replace('/', '-'));
      const { kept } = await world.lateEvents();
      const plan = await world.plan();
      await world.stopTopology();
      let isFirst = true;
      const killed = world.carryOut(plan, (reached) => {
        if (reached !== point || !isFirst) return;
        isFirst = false;
        throw new Error('the process ends here');
      });
      await expect(killed).rejects.toThrow('the process ends here');
      await world.carryOut(plan);
      await expect(world.awaitIn(plan, 400)).rejects.toMatchObject({ code: 'CORRECTIONS_WAITING' });
      // Kafka answers a commit before its records can be read: whoever waits makes sure that they can.
      expect(await world.corrections()).toHaveLength(kept.length);
      await world.start();
      expect((await world.awaitIn(plan)).events).toBe(kept.length);
      expect(await world.differing()).toEqual([]);
      await world.stop();
    },
  );

  test('two healings of one view at a time insert nothing twice', async () => {
    const world = await lateWorld('two');
    const { kept } = await world.lateEvents();
    const plan = await world.plan();
    for (const outcome of await Promise.allSettled([world.carryOut(plan), world.carryOut(plan)])) {
      if (outcome.status === 'fulfilled') continue;
      expect(outcome.reason).toMatchObject({ code: expect.stringMatching(/^PRODUCER_(FENCED|UNUSABLE)$/) as string });
    }
    await world.carryOut(plan);
    expect((await world.awaitIn(plan)).events).toBe(kept.length);
    expect(await world.differing()).toEqual([]);
    await world.stop();
  });

  test('an entry that the store has lost below its marks is written again', async () => {
    const world = await lateWorld('lost');
    const first = await world.plan();
    await world.carryOut(first);
    await world.awaitIn(first);
    const identity = { project: world.project, name: view.name, hash: view.hash };
    const { byKey } = await eventsInLog(servers.log, world.project, view);
    const [key] = [...byKey.keys()] as [Value];
    const [entry] = (await servers.store.read(identity, [key])).entries;
    if (entry === null || entry === undefined) throw new Error('the key has no entry');
    const { partition, offset } = entry;
    const corrections = Number.MAX_SAFE_INTEGER;
    const removal = { key, offset, corrections, base: null, chunks: [], dropped: [] };
    await servers.store.write(identity, { generation: 1, partition, name: 'somebody' }, [removal]);
    expect((await servers.store.read(identity, [key])).entries).toEqual([null]);

    const plan = await world.plan();
    const found = await world.carryOut(plan);
    const healed = await world.awaitIn(plan);
    expect(healed).toMatchObject({ keys: 1 });
    expect(healed.inTime).toBeGreaterThan(0);
    expect(found.reduce((sum, { lacking }) => sum + lacking, 0)).toBe(healed.events);
    expect(await world.differing()).toEqual([]);
    expect((await world.carryOut(await world.plan())).every(({ lacking }) => lacking === 0)).toBe(true);
    await world.stop();
  });

  test('a correction of what is there, or of what is long forgotten, changes nothing', async () => {
    const world = await lateWorld('needless');
    const before = await world.differing();
    const { byKey } = await eventsInLog(servers.log, world.project, view);
    const { forgotten } = await world.lateEvents();
    const [there] = [...byKey.values()].flat().slice(-1);
    const needless = [there, forgotten[0]] as LoggedEvent[];
    const plan = await world.plan();
    const topic = correctionsTopic(world.project, view.name);
    const producer = await servers.log.producer();
    await producer.send(
      needless.map(({ partition, offset, time, id, values }) => {
        const [customer, terminal, cents] = ['customer', 'terminal', 'amount'].map(
          (field) => values[view.stream.fields.findIndex((each) => each.name === field)] as number,
        );
        const value = JSON.stringify({ id, at: time, customer, terminal, amount: (cents as number) / 100 });
        return { topic, partition, key: String(customer), value: JSON.stringify({ partition, offset, value }) };
      }),
    );
    await producer.close();
    expect((await world.awaitIn(plan)).events).toBe(2);
    expect(await world.differing()).toEqual(before);
    await world.stop();
  });

  test('only events of the range that is asked for are inserted', async () => {
    const world = await lateWorld('range');
    const { kept } = await world.lateEvents();
    const times = kept.map(({ time }) => time).sort((a, b) => a - b);
    const from = times[20] as number;
    const plan = await world.plan({ from: new Date(from).toISOString(), to: new Date(from + DAY / 2).toISOString() });
    const wanted = times.filter((time) => time >= from && time < from + DAY / 2);
    await world.carryOut(plan);
    expect((await world.awaitIn(plan)).events).toBe(wanted.length);
    expect(wanted.length).toBeLessThan(kept.length);
    await world.stop();
  });

  test('a view that nobody serves is not taken for one that lacks everything', async () => {
    const world = await lateWorld('gone');
    const plan = await world.plan();
    await world.stopTopology();
    await servers.store.remove({ project: world.project, name: view.name, hash: view.hash });
    await expect(world.carryOut(plan)).rejects.toMatchObject({ code: 'ONLINE_INCOMPLETE' });
    await expect(world.plan()).rejects.toMatchObject({ code: 'ONLINE_INCOMPLETE' });
    expect(await world.corrections()).toEqual([]);
    await world.stop();
  });
}
