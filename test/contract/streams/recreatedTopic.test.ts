import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { archiveFiles } from '../../../activities/dataset/archiveFiles.js';
import type { ArchiveManifestRecord } from '../../../contracts/records.js';
import { archiveTopic, groupId } from '../../../contracts/topics.js';
import { fraud, labels, transactions } from '../../../examples/fraud/project.js';
import { openArchivedInput } from '../../../stores/archive/archivedInput.js';
import { readIncarnations } from '../../../stores/archive/archivedRanges.js';
import { compactArchive } from '../../../stores/archive/compactArchive.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import { openDuckdbStore } from '../../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../../stores/offline/offlineStore.js';
import { runTopology } from '../../../streams/runtime/runTopology.js';
import type { Topology } from '../../../streams/runtime/topology.js';
import { archiveTopology } from '../../../streams/topologies/archive/archiveTopology.js';
import { paymentRecord, payments } from '../../support/payments.js';

const project = 'p';
const topic = `${project}.transactions`;

let folder: string;
let log: Log;
let objects: ObjectStore;
let offline: OfflineStore;
let now: number;
let machines: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-recreated-'));
  now = Date.parse('2026-01-01');
  machines = 0;
  log = createMemoryLog({ clock: () => now });
  objects = openDiskObjectStore(join(folder, 'objects'));
  offline = await openDuckdbStore({ threads: 1 });
  await log.ensureTopics([topic, `${project}.fraud-labels`].map((each) => ({ topic: each, partitions: 1 })));
});
afterEach(async () => {
  await offline.close();
  await rm(folder, { recursive: true });
});

const archiveOn = (of: Log, generation = 1): Topology =>
  archiveTopology({ project, model: fraud.compiled, generation, partitions: 1, log: of, offline, objects });

/** Payments, a minute of the log's clock after what is there. */
async function send(count: number, firstId: number): Promise<void> {
  now += 60_000;
  const producer = await log.producer();
  const made = payments(count, { seed: 1, firstId, from: Date.parse('2018-05-01'), everyMs: 1_000 });
  await producer.send(made.map((payment) => paymentRecord(project, payment)));
  await producer.close();
}

async function recreate(): Promise<void> {
  await log.deleteTopics([topic]);
  await log.ensureTopics([{ topic, partitions: 1 }]);
}

/** Archives all that is there, on a machine of its own if no other is named; says what went wrong and what status told. */
async function archive(
  of: Log = log,
  generation = 1,
  machine = `machine-${++machines}`,
): Promise<{ fatal: unknown[]; notes: string[] }> {
  const fatal: unknown[] = [];
  const topology = archiveOn(of, generation);
  const running = await runTopology(topology, {
    log: of,
    instance: 'archive',
    directory: join(folder, machine),
    commitIntervalMs: 1,
    onFatal: (error) => fatal.push(error),
  });
  const end = (await of.offsets(topic))[0]?.high ?? 0;
  const isDone = async (): Promise<boolean> =>
    ((await of.committed(groupId(topology.identity), [{ topic, partition: 0 }]))[0]?.offset ?? 0) >= end &&
    running.status.some(({ state }) => state === 'live');
  while (fatal.length === 0 && !(await isDone())) await sleep(5);
  // One more turn of a task that has nothing to do shows whether it goes on.
  await sleep(20);
  const notes = running.status.flatMap((status) => status.notes);
  await running.stop();
  return { fatal, notes };
}

const input = () =>
  openArchivedInput({
    log,
    objects,
    offline: () => Promise.resolve(offline),
    project,
    streams: [transactions.compiled, labels.compiled],
  });

/** Ids that a replay of the archive reads. */
async function replayed(to: number): Promise<number[]> {
  const ids: number[] = [];
  for await (const records of input().read({ topic, partition: 0 }, { from: 0, to }))
    ids.push(...records.map(({ value }) => (JSON.parse(String(value)) as { id: number }).id));
  return ids;
}
const idsFrom = (first: number, count: number): number[] => Array.from({ length: count }, (_, at) => first + at);

/** A log of a broker that tells no identities of topics. */
const withoutIds = (of: Log): Log => Object.assign(Object.create(of) as Log, { topicIds: async () => new Map() });

/** What an archive of before identities were kept wrote. */
async function archivedLongAgo(): Promise<void> {
  await archive(withoutIds(log));
}

describe('the archive of a topic that was deleted and created anew', () => {
  test('is kept apart from that of the one before: nothing of it is lost, and nothing of it is replayed', async () => {
    await send(20, 0);
    expect(await archive()).toEqual({ fatal: [], notes: [] });
    expect(await replayed(20)).toEqual(idsFrom(0, 20));
    const before = (await archiveFiles(log, project)).get(topic)?.files ?? [];
    await recreate();
    expect((await archiveFiles(log, project)).get(topic)).toBeUndefined();
    await expect(replayed(5)).rejects.toMatchObject({ code: 'OFFSET_LOST' });
    await send(5, 1_000);
    const { fatal, notes } = await archive();
    expect(fatal).toEqual([]);
    expect(notes).toContain(`${topic}-0 was created anew: offsets up to 19 of an earlier topic are kept apart`);
    expect(await replayed(5)).toEqual(idsFrom(1_000, 5));
    await send(30, 2_000);
    await archive();
    expect(await replayed(35)).toEqual([...idsFrom(1_000, 5), ...idsFrom(2_000, 30)]);
    const kept = (await readIncarnations(log, project)).get(topic)?.get(0) ?? [];
    expect(kept.map(({ ranges }) => ranges.reduce((rows, range) => rows + range.rows, 0))).toEqual([20, 35]);
    expect(kept[0]?.ranges.flatMap(({ files }) => files)).toEqual(before);
  });

  test('is begun on the machine whose snapshot knows the one before, too', async () => {
    await send(5, 0);
    await archive(log, 1, 'same');
    await recreate();
    await send(3, 1_000);
    expect((await archive(log, 1, 'same')).fatal).toEqual([]);
    expect(await replayed(3)).toEqual(idsFrom(1_000, 3));
  });

  test('stays apart when both are merged', async () => {
    for (const at of [0, 1, 2]) {
      await send(5, at * 5);
      await archive();
    }
    await recreate();
    for (const at of [0, 1, 2]) {
      await send(5, 1_000 + at * 5);
      await archive();
    }
    await compactArchive({ log, objects, offline, project, minFiles: 2 });
    expect(await replayed(15)).toEqual(idsFrom(1_000, 15));
    expect((await archiveFiles(log, project)).get(topic)?.files).toHaveLength(1);
    expect((await readIncarnations(log, project)).get(topic)?.get(0)?.[0]?.ranges).toHaveLength(3);
  });

  test('is not begun while the one before is being archived: the worker ends, and says so', async () => {
    await send(5, 0);
    const fatal: unknown[] = [];
    const running = await runTopology(archiveOn(log), {
      log,
      instance: 'archive',
      directory: join(folder, 'running'),
      commitIntervalMs: 1,
      onFatal: (error) => fatal.push(error),
    });
    while (((await archiveFiles(log, project)).get(topic)?.upTo[0] ?? 0) < 5) await sleep(5);
    const id = (await log.topicIds([topic])).get(topic);
    await recreate();
    // As many as there were and more: the reader goes on in the midst of another topic.
    await send(9, 1_000);
    while (fatal.length === 0) await sleep(5);
    await running.stop();
    expect(fatal[0]).toMatchObject({ code: 'TOPIC_REPLACED', details: { topic, archived: id } });
    expect((await archiveFiles(log, project)).get(topic)).toBeUndefined();
  });

  test('is refused where the committed offset is still that of the one before, which it has grown beyond', async () => {
    await send(5, 0);
    await archive();
    await recreate();
    await send(9, 1_000);
    const group = groupId(archiveOn(log).identity);
    await log.commitOffsets(group, [{ topic, partition: 0, offset: 5 }]);
    expect((await archive()).fatal[0]).toMatchObject({
      code: 'TOPIC_REPLACED',
      message: `${topic}-0: offset 5 is committed, where an earlier topic of that name ended`,
    });
    // The way out that the error names.
    expect((await archive(log, 2)).fatal).toEqual([]);
    expect(await replayed(9)).toEqual(idsFrom(1_000, 9));
  });

  describe('by manifests that name no identity', () => {
    test('is told by the append time of the last archived record, though it has grown beyond it', async () => {
      await send(5, 0);
      await archivedLongAgo();
      await recreate();
      await send(9, 1_000);
      const { notes, fatal } = await archive();
      expect(fatal).toEqual([]);
      expect(notes).toContain(`${topic}-0 was created anew: offsets up to 4 of an earlier topic are kept apart`);
      expect(await replayed(9)).toEqual(idsFrom(1_000, 9));
    });

    test('is told by its end, where it has not grown so far', async () => {
      await send(5, 0);
      await archivedLongAgo();
      await recreate();
      await send(3, 1_000);
      await archive();
      expect(await replayed(3)).toEqual(idsFrom(1_000, 3));
    });

    test('is told on a broker that tells no identities', async () => {
      await send(5, 0);
      await archivedLongAgo();
      await recreate();
      await send(9, 1_000);
      const { notes } = await archive(withoutIds(log));
      expect(notes).toHaveLength(1);
      const [first, second] = (await readIncarnations(log, project)).get(topic)?.get(0) ?? [];
      expect(first).toMatchObject({ topicId: null, ranges: [{ first: 0, last: 4 }] });
      expect(second).toMatchObject({ topicId: null });
      expect(second?.ranges.at(-1)?.last).toBe(8);
    });

    test('is refused where the committed offset is still that of the one before', async () => {
      await send(5, 0);
      await archivedLongAgo();
      await recreate();
      await send(9, 1_000);
      await log.commitOffsets(groupId(archiveOn(log).identity), [{ topic, partition: 0, offset: 5 }]);
      expect((await archive()).fatal[0]).toMatchObject({ code: 'TOPIC_REPLACED' });
    });

    test('is the same topic where nothing was deleted: what is archived goes on, by its identity from now on', async () => {
      await send(5, 0);
      await archivedLongAgo();
      await send(5, 5);
      expect(await archive()).toEqual({ fatal: [], notes: [] });
      expect(await replayed(10)).toEqual(idsFrom(0, 10));
      const id = (await log.topicIds([topic])).get(topic);
      expect((await readIncarnations(log, project)).get(topic)?.get(0)).toMatchObject([{ topicId: id }]);
    });
  });
});

test('an archive whose committed offsets were lost archives nothing twice', async () => {
  await send(5, 0);
  await archive();
  await log.deleteGroups([groupId(archiveOn(log).identity)]);
  await send(5, 5);
  expect((await archive()).fatal).toEqual([]);
  const manifests: ArchiveManifestRecord[] = [];
  const end = (await log.offsets(archiveTopic(project)))[0]?.high ?? 0;
  for await (const records of log.read({ topic: archiveTopic(project), partition: 0, from: 0, to: end }))
    manifests.push(...records.map(({ value }) => JSON.parse(String(value)) as ArchiveManifestRecord));
  const own = manifests.filter((manifest) => manifest.topic === topic);
  expect(own.reduce((rows, manifest) => rows + manifest.rows, 0)).toBe(10);
  expect(own.map(({ first }) => first)).toContain(5);
  expect(await replayed(10)).toEqual(idsFrom(0, 10));
});
