import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DAY_MS, HOUR_MS } from '../../../contracts/duration.js';
import type { PruneReport } from '../../../contracts/pruneReport.js';
import { topologyPrefix } from '../../../contracts/topics.js';
import { customerSpending, fraud } from '../../../examples/fraud/project.js';
import { spendPerCustomer } from '../../../examples/sales/project.js';
import { viewIdentity } from '../../../features/vectorLayout.js';
import { defineProject } from '../../../index.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ObjectUpkeep } from '../../../stores/objects/objectUpkeep.js';
import { openLmdbOnlineStore } from '../../../stores/online/lmdbOnlineStore.js';
import type { OnlineStore } from '../../../stores/online/onlineStore.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { pruneLocalSnapshots, pruneStoredSnapshots } from '../../../workers/pruneSnapshots.js';
import { createSnapshotNeeds, type SnapshotNeeds } from '../../../workers/snapshotNeeds.js';

const project = 'shop';
const definitions = defineProject(project, { models: [fraud], windows: [spendPerCustomer] });
const { name: view, hash } = customerSpending.compiled;
const window = `window.${spendPerCustomer.compiled.name}`;

let root: string;
let log: Log;
let registry: Registry;
let objects: ObjectUpkeep;
let online: OnlineStore;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tidemill-snapshots-'));
  log = createMemoryLog({ clock: () => Date.now() });
  registry = await openSqliteRegistry({ file: join(root, 'registry.db'), project });
  objects = openDiskObjectStore(join(root, 'objects'));
  online = openLmdbOnlineStore({ folder: join(root, 'online') });
});
afterEach(async () => {
  await online.close();
  await registry.close();
  await log.close();
  await rm(root, { recursive: true });
});

const needsOf = (known: typeof definitions | null = definitions): SnapshotNeeds =>
  createSnapshotNeeds({ project, log, registry, objects, definitions: known, online: () => online });
const folderOf = (name: string, generation: number, of = project): string =>
  topologyPrefix({ project: of, name, generation });

/** The snapshots of a task in both places, as they were last written `ageMs` ago. */
async function written(folder: string, ageMs = 30 * DAY_MS): Promise<void> {
  const at = new Date(Date.now() - ageMs);
  const object = await objects.put(`snapshots/${folder}/entry-0/state/p.t-0@7`, 'mdb', Buffer.from(folder));
  await utimes(await objects.localPath(object.uri, object.sha256), at, at);
  const local = join(root, 'streams', 'snapshots', folder);
  await mkdir(join(local, 'entry-0'), { recursive: true });
  await writeFile(join(local, 'entry-0', 'data.mdb'), folder);
  for (const path of [join(local, 'entry-0', 'data.mdb'), join(local, 'entry-0'), local]) await utimes(path, at, at);
}

const isLocal = (folder: string): boolean => existsSync(join(root, 'streams', 'snapshots', folder, 'entry-0'));
const isStored = async (folder: string): Promise<boolean> => (await objects.list(`snapshots/${folder}`)).length > 0;

interface Run {
  readonly inMs?: number;
  readonly apply?: boolean;
  readonly needs?: SnapshotNeeds;
}
const stored = ({ inMs = 0, apply = true, needs = needsOf() }: Run = {}): Promise<PruneReport> =>
  pruneStoredSnapshots(objects, { needs, graceMs: DAY_MS, nowMs: Date.now() + inMs, apply });
const local = ({ inMs = 0, apply = true, needs = needsOf() }: Run = {}): ReturnType<typeof pruneLocalSnapshots> =>
  pruneLocalSnapshots(join(root, 'streams'), { needs, nowMs: Date.now() + inMs, apply });

/** Goes both places through twice, a grace time apart. */
async function pruneAll(needs?: SnapshotNeeds): Promise<void> {
  for (const inMs of [0, DAY_MS + HOUR_MS]) {
    await stored({ inMs, ...(needs === undefined ? {} : { needs }) });
    await local({ inMs, ...(needs === undefined ? {} : { needs }) });
  }
}

/** What is left of some, in the object store and on the disk alike. */
async function left(...folders: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    expect(isLocal(folder)).toBe(await isStored(folder));
    if (isLocal(folder)) found.push(folder);
  }
  return found;
}

describe('snapshots of a generation that was replaced', () => {
  test('go, and those of the running one and of a replay stay', async () => {
    await registry.issueGeneration(`${project}/score.fraud`);
    await registry.issueReplay(`${project}/score.fraud`);
    const all = [1, 2, 3].map((generation) => folderOf('score.fraud', generation));
    for (const folder of all) await written(folder);
    await pruneAll();
    expect(await left(...all)).toEqual(all.slice(1));
  });

  test('go when a replay has taken over, and those of one that was dropped', async () => {
    const key = `${project}/${window}`;
    await registry.endReplay(key, await registry.issueReplay(key), 'adopt');
    await registry.endReplay(key, await registry.issueReplay(key), 'drop');
    const all = [1, 2, 3].map((generation) => folderOf(window, generation));
    for (const folder of all) await written(folder);
    await pruneAll();
    expect(await left(...all)).toEqual([folderOf(window, 2)]);
  });

  test('stay while anybody runs it', async () => {
    await registry.issueGeneration(`${project}/score.fraud`);
    const old = folderOf('score.fraud', 1);
    await written(old);
    await log.ensureTopics([{ topic: 't', partitions: 1 }]);
    const member = await log.join({
      group: old,
      topics: ['t'],
      memberName: 'worker-1',
      taskOf: () => 'entry-0',
      onAssigned: () => undefined,
      onRecords: () => undefined,
      onPosition: () => undefined,
      onError: () => undefined,
    });
    await pruneAll();
    await member.leave();
    expect(await left(old)).toEqual([old]);
  });

  test('stay for a day after the last write', async () => {
    await registry.issueGeneration(`${project}/score.fraud`);
    const old = folderOf('score.fraud', 1);
    await written(old, HOUR_MS);
    expect((await stored()).setAside).toEqual([]);
    expect((await local()).kept).toEqual([
      expect.objectContaining({ why: 'generation 2 runs in its place, written less than 1d ago' }),
    ]);
    expect(await left(old)).toEqual([old]);
    expect((await stored({ inMs: DAY_MS })).setAside).toHaveLength(1);
    expect((await local({ inMs: DAY_MS })).deleted).toHaveLength(1);
  });

  test('lie aside in the object store first, and are only spoken of in a plan', async () => {
    await registry.issueGeneration(`${project}/score.fraud`);
    const old = folderOf('score.fraud', 1);
    await written(old);
    const why = 'generation 2 runs in its place';
    expect((await stored({ apply: false })).setAside).toEqual([expect.objectContaining({ why })]);
    expect((await local({ apply: false })).deleted).toEqual([expect.objectContaining({ why })]);
    expect(await left(old)).toEqual([old]);
    expect((await stored()).setAside).toEqual([expect.objectContaining({ why })]);
    expect((await stored()).deleted).toEqual([]);
    expect((await stored({ inMs: DAY_MS + HOUR_MS })).deleted).toHaveLength(1);
    expect(await objects.listAside('snapshots')).toEqual([]);
  });
});

describe('snapshots of a view', () => {
  /** Generation 1 serves, and the registry has issued 2. */
  async function rebuilding(): Promise<void> {
    await registry.issueGeneration(`${project}/materialize.${view}`);
    await serve(1);
  }
  async function serve(generation: number): Promise<void> {
    const writer = { generation, partition: 0, name: 'w' };
    const identity = { project, name: view, hash };
    const mark = { offset: 5, corrections: 0, watermark: null, newest: null, confirmedAt: 1 };
    await online.mark(identity, writer, mark, null);
    await online.serve(identity, writer, 1);
  }
  const [first, second] = [folderOf(`materialize.${view}`, 1), folderOf(`materialize.${view}`, 2)];

  test('stay while their generation serves, and go when the next one does', async () => {
    await rebuilding();
    for (const folder of [first, second]) await written(folder);
    await pruneAll();
    expect(await left(first, second)).toEqual([first, second]);
    await serve(2);
    await pruneAll();
    expect(await left(first, second)).toEqual([second]);
  });

  test('go where no version in use reads the view, once its group cannot have offsets any more', async () => {
    const unread = folderOf(`materialize.${view}.${viewIdentity({ hash: 'f'.repeat(64) })}`, 1);
    await written(unread, 6 * DAY_MS);
    expect((await local()).deleted).toEqual([]);
    await pruneAll();
    expect(await left(unread)).toEqual([unread]);
    await written(unread, 8 * DAY_MS);
    await pruneAll();
    expect(await left(unread)).toEqual([]);
  });

  test('stay where the definitions are not given', async () => {
    await rebuilding();
    await serve(2);
    await written(first);
    await pruneAll(needsOf(null));
    expect(await left(first)).toEqual([first]);
  });
});

describe('snapshots of a topology that the project does not have', () => {
  const gone = folderOf('window.spend-per-shop', 1);

  test('go after eight days, and stay where the definitions are not given', async () => {
    await written(gone, 9 * DAY_MS);
    await pruneAll(needsOf(null));
    expect(await left(gone)).toEqual([gone]);
    await pruneAll();
    expect(await left(gone)).toEqual([]);
  });

  test('are not touched where they are those of another project', async () => {
    const others = [folderOf('score.fraud', 1, 'market'), folderOf('score.fraud', 1, 'shop.eu')];
    await registry.issueGeneration(`${project}/score.fraud`);
    for (const folder of others) await written(folder);
    await pruneAll();
    expect(await left(...others)).toEqual(others);
  });
});
