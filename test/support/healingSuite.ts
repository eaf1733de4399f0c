import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { awaitCorrections } from '../../activities/healing/awaitCorrections.js';
import { healPart } from '../../activities/healing/healPart.js';
import { planHealing } from '../../activities/healing/planHealing.js';
import type { StreamSource } from '../../activities/healing/streamPart.js';
import { readTopic } from '../../activities/audit/readTopic.js';
import type { HealedPart, HealInput, HealPlan } from '../../contracts/healing.js';
import { correctionsTopic } from '../../contracts/topics.js';
import { customerSpending } from '../../examples/fraud/project.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import type { Log, LogProducer } from '../../stores/log/log.js';
import { FeatureReader } from '../../stores/online/featureReader.js';
import type { OnlineStore } from '../../stores/online/onlineStore.js';
import { runTopology, type RunningTopology } from '../../streams/runtime/runTopology.js';
import { materializeTopology } from '../../streams/topologies/materialize/materializeTopology.js';
import { eventsInLog, interpreted } from './materialized.js';
import { paymentRecord, payments, START, type Payment } from './payments.js';

const view = customerSpending.compiled;
const PARTITIONS = 2;
const DAY = 86_400_000;

export interface HealingServers {
  readonly log: Log;
  readonly store: OnlineStore;
}

/** What healing promises, over whichever log and store there are. */
export function healingSuite(name: string, open: () => Promise<HealingServers>, close: () => Promise<void>): void {
  let servers: HealingServers;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-healing-'));
    servers = await open();
  });
  afterAll(async () => {
    await close();
    await rm(folder, { recursive: true });
  });

  /** A stream in which every tenth payment comes too late, and a topology that keeps its view. */
  class World {
    private running: RunningTopology | null = null;
    private readonly fatal: unknown[] = [];

    private constructor(
      readonly project: string,
      private readonly producer: LogProducer,
    ) {}

    static async create(project: string): Promise<World> {
      const { log } = servers;
      await log.ensureTopics([{ topic: `${project}.transactions`, partitions: PARTITIONS }]);
      return new World(project, await log.producer());
    }

    async send(all: readonly Payment[]): Promise<void> {
      await this.producer.send(all.map((each) => paymentRecord(this.project, each)));
    }

    async start(): Promise<void> {
      const { log, store } = servers;
      this.running = await runTopology(
        materializeTopology({ project: this.project, view, generation: 1, partitions: PARTITIONS, store }),
        {
          log,
          instance: 'one',
          directory: join(folder, this.project),
          commitIntervalMs: 20,
          onFatal: (error) => this.fatal.push(error),
        },
      );
    }

    async caughtUp(): Promise<void> {
      const identity = { project: this.project, name: view.name, hash: view.hash };
      for (;;) {
        const ends = await servers.log.offsets(`${this.project}.transactions`);
        const marks = await servers.store.marks(identity, 1);
        const isThere = ends.every(({ partition, high }) => (marks.get(partition)?.offset ?? -1) >= high);
        if (isThere && (await servers.store.serving(identity)) === 1) return;
        if (this.fatal.length > 0) throw this.fatal[0] as Error;
        await sleep(20);
      }
    }

    /** The late events that the view still keeps, and those that it does not. */
    async lateEvents(): Promise<{ kept: LoggedEvent[]; forgotten: LoggedEvent[] }> {
      const { late } = await eventsInLog(servers.log, this.project, view);
      const marks = await servers.store.marks({ project: this.project, name: view.name, hash: view.hash }, 1);
      const isKept = ({ partition, time }: LoggedEvent): boolean =>
        time > (marks.get(partition)?.watermark ?? 0) - view.keepMs;
      return { kept: late.filter(isKept), forgotten: late.filter((each) => !isKept(each)) };
    }

    /** Keys whose values in the store are not those of all events, late ones among them. */
    async differing(): Promise<Value[]> {
      const { byKey, late, newest } = await eventsInLog(servers.log, this.project, view);
      for (const event of late) {
        const key = event.values[view.key] as Value;
        byKey.set(key, [...(byKey.get(key) ?? []), event]);
      }
      const keys = [...byKey.keys()];
      const reader = new FeatureReader({ project: this.project, view, store: servers.store });
      const found = await reader.read(keys, newest);
      return keys.filter((key, at) => {
        const values = found[at]?.features.map(({ value }) => value);
        return JSON.stringify(values) !== JSON.stringify(interpreted(view, byKey.get(key) ?? [], newest).values);
      });
    }

    private get source(): StreamSource {
      const nothing = { reach: (_: unknown, to: number) => Promise.resolve({ from: to, lost: null }), read: noRecords };
      return { log: servers.log, project: this.project, stream: view.stream, archive: nothing };
    }

    plan(input: Omit<HealInput, 'view'> = {}): Promise<HealPlan> {
      return planHealing(this.source, view, servers.store, { view: view.name, ...input });
    }

    async carryOut({ source, parts }: HealPlan, reach?: (point: string) => void): Promise<HealedPart[]> {
      const healed: HealedPart[] = [];
      for (const part of parts.flat()) {
        const healing = { source: this.source, view, store: servers.store, checkpoint: () => Promise.resolve() };
        healed.push(await healPart({ ...healing, ...(reach === undefined ? {} : { reach }) }, source, part, null));
      }
      return healed;
    }

    awaitIn({ corrections }: HealPlan, stallMs?: number): ReturnType<typeof awaitCorrections> {
      return awaitCorrections(
        {
          log: servers.log,
          project: this.project,
          view,
          store: servers.store,
          checkpoint: () => Promise.resolve(),
          ...(stallMs === undefined ? {} : { stallMs }),
        },
        corrections,
      );
    }

    async corrections(): Promise<string[]> {
      const records = await readTopic(servers.log, correctionsTopic(this.project, view.name));
      return records.map(({ value }) => value?.toString() ?? '');
    }

    async stopTopology(): Promise<void> {
      await this.running?.stop();
      this.running = null;
    }

    async stop(): Promise<void> {
      await this.stopTopology();
      await this.producer.close();
      expect(this.fatal).toEqual([]);
    }
  }

  /** Payments of many days; then some of the days before once more, each an event of its own, behind the watermark. */
  const lateWorld = async (project: string): Promise<World> => {
    const world = await World.create(`${name}-${project}`);
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
      expect(await world.corrections()).toHaveLength(kept.length);
      await expect(world.awaitIn(plan, 400)).rejects.toMatchObject({ code: 'CORRECTIONS_WAITING' });
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
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'PRODUCER_FENCED' });
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
    const removal = { key, offset, base: null, chunks: [], dropped: [] };
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

async function* noRecords(): AsyncIterable<never[]> {
  yield [];
}
