import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { groupId } from '../../../contracts/topics.js';
import { sales, spendPerCustomer } from '../../../examples/sales/project.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ListedObject, ObjectStore } from '../../../stores/objects/objectStore.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import type { TaskEvent } from '../../../streams/runtime/taskContext.js';
import type { Topology } from '../../../streams/runtime/topology.js';
import { windowTopology } from '../../../streams/topologies/windows/windowTopology.js';

const project = 'moved';
const source = `${project}.${sales.compiled.name}`;
const START = Date.parse('2026-01-01T00:00:00Z');
const topology: Topology = windowTopology({
  project,
  windows: spendPerCustomer.compiled,
  generation: 1,
  partitions: 1,
  setsAside: true,
});

let root: string;
let log: Log;
let objects: ObjectStore;
let events: TaskEvent[];
/** Errors that ended a topology. */
let fatal: unknown[];
let sent: number;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tidemill-moved-'));
  objects = openDiskObjectStore(join(root, 'objects'));
  log = createMemoryLog({ clock: () => START + 86_400_000 });
  events = [];
  fatal = [];
  sent = 0;
  await log.ensureTopics([{ topic: source, partitions: 1 }]);
});
afterEach(async () => {
  expect(fatal).toEqual([]);
  await log.close();
  await rm(root, { recursive: true });
});

async function send(count: number): Promise<void> {
  const producer = await log.producer();
  await producer.send(
    Array.from({ length: count }, () => {
      const id = sent++;
      const sale = { id, at: START + id * 1_000, customer: id % 7, city: 'x', amount: 1 };
      return { topic: source, key: String(sale.customer), value: JSON.stringify(sale) };
    }),
  );
  await producer.close();
}

/** @param intervalMs 0: a copy is stored with every snapshot. */
async function startOn(machine: string, intervalMs = 0): Promise<RunningTopology> {
  return runTopology(topology, {
    log,
    instance: machine,
    directory: join(root, machine),
    commitIntervalMs: 5,
    snapshotIntervalMs: 0,
    objectSnapshots: { objects, intervalMs },
    onEvent: (event) => events.push(event),
    onFatal: (error) => fatal.push(error),
  });
}

async function committed(): Promise<number> {
  const [found] = await log.committed(groupId(topology.identity), [{ topic: source, partition: 0 }]);
  return found?.offset ?? 0;
}

async function run(machine: string, intervalMs?: number): Promise<void> {
  const recoveries = events.filter(({ kind }) => kind === 'recovered').length;
  const running = await startOn(machine, intervalMs);
  const [{ high } = { high: 0 }] = await log.offsets(source);
  while ((await committed()) < high || events.filter(({ kind }) => kind === 'recovered').length === recoveries)
    await sleep(5);
  await running.stop();
}

/** The last recovery: records replayed, and whether onto a snapshot. */
function recovery(): { replayed: number; fromSnapshot: boolean } {
  const last = events.findLast((event) => event.kind === 'recovered');
  if (last?.kind !== 'recovered') throw new Error('nothing recovered');
  return { replayed: last.replayed, fromSnapshot: last.fromSnapshot };
}
const discarded = (): string[] => events.flatMap((event) => (event.kind === 'snapshotDiscarded' ? [event.reason] : []));
const fetched = (): string[] => events.flatMap((event) => (event.kind === 'snapshotFetched' ? [event.uri] : []));

/** Snapshots in the order of their offsets; of two at the same ones, the one that a recovery tries first is the last. */
async function stored(): Promise<readonly ListedObject[]> {
  return [...(await objects.list('snapshots'))].reverse().sort((a, b) => offsetOf(a.uri) - offsetOf(b.uri));
}
const offsetOf = (uri: string): number => Number(/@(\d+)\//.exec(uri)?.[1]);

async function results(): Promise<string[]> {
  const lines: string[] = [];
  for (const { partition, low, high } of await log.offsets(`${project}.customer-spend`))
    for await (const batch of log.read({ topic: `${project}.customer-spend`, partition, from: low, to: high }))
      lines.push(...batch.map(({ value }) => String(value)));
  return lines;
}

describe('a task on another machine', () => {
  test('recovers from the newest snapshot of the object store, and replays only what came since', async () => {
    await send(300);
    await run('a');
    const first = await stored();
    expect(first.length).toBeGreaterThan(0);
    await rm(join(root, 'a'), { recursive: true });
    await send(40);
    await run('b', 1e9);
    expect(recovery()).toEqual({ replayed: 300 - offsetOf(first.at(-1)?.uri ?? ''), fromSnapshot: true });
    expect(recovery().replayed).toBeLessThan(300);
    // 340 s of sales: five minutes of seven customers are closed, each told once.
    await send(1);
    await run('b', 1e9);
    const keys = (await results()).map((text) => text.replace(/,"revision".*/, ''));
    expect(keys).toHaveLength(35);
    expect(new Set(keys).size).toBe(35);
    expect(discarded()).toEqual([]);
  });

  test('takes the next older one where the newest is not what it was', async () => {
    await send(100);
    await run('a');
    await send(100);
    await run('a');
    const all = await stored();
    const [older, newest] = all.slice(-2);
    const file = join(root, 'objects', (newest?.uri ?? '').slice('objects://'.length));
    await writeFile(file, 'no snapshot');
    await rm(join(root, 'a'), { recursive: true });
    await send(1);
    await run('b', 1e9);
    expect(discarded()).toEqual([expect.stringContaining('SHA-256')]);
    expect(fetched()).toEqual([older?.uri]);
  });

  test('discards what is ahead of the committed offsets, and what holds another state, and says why', async () => {
    await send(100);
    await run('a');
    const [found] = (await stored()).slice(-1);
    const bytes = await objects.get(found?.uri ?? '', /([0-9a-f]{64})\.mdb$/.exec(found?.uri ?? '')?.[1] ?? '');
    const task = `snapshots/${project}.window.spend-per-customer.g1/window-0`;
    const identity = topology.createTask('window-0', [{ topic: source, partition: 0 }]).stateIdentity;
    for (const [state, offset] of [
      [identity, 5_000],
      ['another', 90],
    ] as const)
      await objects.put(`${task}/${state}/${source}-0@${offset}`, 'mdb', bytes);
    await rm(join(root, 'a'), { recursive: true });
    await run('b', 1e9);
    expect(discarded()).toEqual([
      expect.stringContaining('it is ahead: moved.sales-0 at 5000, committed 100'),
      expect.stringContaining('it holds the state another'),
    ]);
    expect(fetched()).toEqual([found?.uri]);
    expect(recovery()).toMatchObject({ fromSnapshot: true });
  });

  test('refuses to begin anew where the group lost its offsets but snapshots are there', async () => {
    await send(50);
    await run('a');
    await rm(join(root, 'a'), { recursive: true });
    await log.deleteGroups([groupId(topology.identity)]);
    const running = await startOn('b');
    while (fatal.length === 0) await sleep(5);
    await running.stop();
    expect(fatal.splice(0)).toMatchObject([{ code: 'OFFSETS_MISSING' }]);
  });
});

describe('a task with a snapshot of its own', () => {
  test('keeps it where no newer one is stored', async () => {
    await send(100);
    await run('a');
    await run('a');
    expect(fetched()).toEqual([]);
    expect(recovery()).toEqual({ replayed: 0, fromSnapshot: true });
  });

  test('replaces it where another machine went on', async () => {
    await send(100);
    await run('a');
    await send(200);
    await run('b');
    // Two copies may be as far as one another.
    const newest = offsetOf((await stored()).at(-1)?.uri ?? '');
    await run('a');
    expect(offsetOf(fetched().at(-1) ?? '')).toBe(newest);
    expect(recovery().replayed).toBe(300 - newest);
  });
});

describe('stored snapshots', () => {
  test('stay while they are young; of old ones the two newest that can be used', async () => {
    for (let round = 0; round < 4; round++) {
      await send(20);
      await run('a');
    }
    const before = await stored();
    expect(before.length).toBeGreaterThanOrEqual(4);
    for (const { uri } of before) await utimes(join(root, 'objects', uri.slice('objects://'.length)), 1, 1);
    const task = `snapshots/${project}.window.spend-per-customer.g1/window-0`;
    const identity = topology.createTask('window-0', [{ topic: source, partition: 0 }]).stateIdentity;
    const ahead = await objects.put(`${task}/${identity}/${source}-0@9000`, 'mdb', Buffer.from('ahead'));
    await utimes(join(root, 'objects', ahead.uri.slice('objects://'.length)), 1, 1);
    await send(20);
    await run('a');
    const after = (await stored()).map(({ uri }) => uri);
    expect(after).not.toContain(ahead.uri);
    const young = after.filter((uri) => !before.some((each) => each.uri === uri));
    expect(young.length).toBeGreaterThan(0);
    expect(after.length).toBeGreaterThanOrEqual(2);
    expect(after.filter((uri) => !young.includes(uri)).length).toBeLessThanOrEqual(1);
  });

  test('cost the task nothing where the store does not take them', async () => {
    objects = {
      ...objects,
      putFile: () => Promise.reject(new Error('no space')),
      list: () => Promise.reject(new Error('away')),
    };
    await send(100);
    await run('a');
    expect(events.filter(({ kind }) => kind === 'snapshotNotStored')).not.toHaveLength(0);
    expect(discarded()).toEqual([expect.stringContaining('away')]);
    expect(await committed()).toBe(100);
  });
});
