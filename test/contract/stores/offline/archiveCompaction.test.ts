import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { archiveFiles } from '../../../../activities/dataset/archiveFiles.js';
import { archiveTopic } from '../../../../contracts/topics.js';
import { sales } from '../../../../examples/sales/project.js';
import type { CompiledStream } from '../../../../features/compiledView.js';
import type { LoggedEvent } from '../../../../features/types.js';
import { eventStream, t } from '../../../../index.js';
import { openArchivedInput } from '../../../../stores/archive/archivedInput.js';
import { readArchivedRanges } from '../../../../stores/archive/archivedRanges.js';
import { compactArchive, type CompactOptions } from '../../../../stores/archive/compactArchive.js';
import { groupsOf } from '../../../../stores/archive/mergeGroups.js';
import type { Log } from '../../../../stores/log/log.js';
import { createMemoryLog } from '../../../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../../stores/objects/objectStore.js';
import { openDuckdbStore } from '../../../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../../../stores/offline/offlineStore.js';

const project = 'p';
const topic = `${project}.sales`;
const stream = sales.compiled;

let root: string;
let log: Log;
let objects: ObjectStore;
let offline: OfflineStore;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tidemill-compaction-'));
  log = createMemoryLog({ clock: () => 0 });
  objects = openDiskObjectStore(join(root, 'objects'));
  offline = await openDuckdbStore({ threads: 1 });
  await log.ensureTopics([{ topic: archiveTopic(project), partitions: 1 }]);
});
afterEach(async () => {
  await offline.close();
  await rm(root, { recursive: true });
});

const eventAt = (offset: number, values: readonly LoggedEvent['values'][number][]): LoggedEvent => {
  return { time: 1_000 + offset, id: offset, values, partition: 0, offset, appendedAt: 5_000 + offset };
};
const saleAt = (offset: number): LoggedEvent =>
  eventAt(offset, [offset, 1_000 + offset, offset % 3, 'city', 100 + offset]);

async function archived(
  first: number,
  last: number,
  written = stream,
  eventOf = saleAt,
  writer?: string,
): Promise<void> {
  const file = join(root, `${written.name}-${first}.parquet`);
  const events = Array.from({ length: last - first + 1 }, (_, at) => eventOf(first + at));
  await offline.writeEvents(written, file, events);
  const { uri, sha256 } = await objects.putFile(`archive/${project}/${topic}`, 'parquet', file);
  const value = { topic, partition: 0, first, last, rows: events.length, files: [{ uri, sha256 }], writer };
  const producer = await log.producer();
  await producer.send([{ topic: archiveTopic(project), partition: 0, key: 'k', value: JSON.stringify(value) }]);
  await producer.close();
}

/** What a reader of the archive sees: offsets and files. */
async function seen(): Promise<{ offsets: number[]; files: number }> {
  const { files = [] } = (await archiveFiles(log, project)).get(topic) ?? {};
  const paths = await Promise.all(files.map(({ uri, sha256 }) => objects.localPath(uri, sha256)));
  const offsets: number[] = [];
  for await (const events of offline.readEvents(stream, paths)) offsets.push(...events.map(({ offset }) => offset));
  return { offsets, files: files.length };
}

const options = (): CompactOptions => ({ log, objects, offline, project, minFiles: 2 });
const upTo = (end: number): number[] => Array.from({ length: end }, (_, offset) => offset);

describe('compaction of the archive', () => {
  test('makes one file of many, and readers see the same rows', async () => {
    for (let first = 0; first < 50; first += 5) await archived(first, first + 4);
    expect(await seen()).toEqual({ offsets: upTo(50), files: 10 });
    expect(await compactArchive(options())).toMatchObject([{ first: 0, last: 49, rows: 50, replaced: 10 }]);
    expect(await seen()).toEqual({ offsets: upTo(50), files: 1 });
    expect(await compactArchive(options())).toEqual([]);
    await archived(50, 54);
    await compactArchive(options());
    expect(await seen()).toEqual({ offsets: upTo(55), files: 1 });
    const input = openArchivedInput({
      log,
      objects,
      offline: () => Promise.resolve(offline),
      project,
      streams: [stream],
    });
    const read: number[] = [];
    for await (const records of input.read({ topic, partition: 0 }, { from: 3, to: 52 }))
      read.push(...records.map(({ offset }) => offset));
    expect(read).toEqual(upTo(52).slice(3));
  });

  test.each(['before-merge', 'after-merge', 'after-store', 'after-manifest'] as const)(
    'that dies %s shows each row once, and so does the next run',
    async (point) => {
      for (let first = 0; first < 20; first += 5) await archived(first, first + 4);
      const dying = compactArchive({
        ...options(),
        reach: (at) => {
          if (at === point) throw new Error('killed');
        },
      });
      await expect(dying).rejects.toThrow('killed');
      expect((await seen()).offsets).toEqual(upTo(20));
      await compactArchive(options());
      expect(await seen()).toEqual({ offsets: upTo(20), files: 1 });
    },
  );

  test('by two at once counts once', async () => {
    for (let first = 0; first < 20; first += 5) await archived(first, first + 4);
    await Promise.all([compactArchive(options()), compactArchive({ ...options(), maxRows: 10 })]);
    expect((await seen()).offsets).toEqual(upTo(20));
  });

  test('merges nothing across a gap, takes what two writers have once, and leaves large files alone', async () => {
    for (const [first, last] of [
      [0, 4],
      [5, 9],
      [3, 7],
      [20, 24],
      [25, 29],
    ] as const)
      await archived(first, last);
    await compactArchive(options());
    const ranges = (await readArchivedRanges(log, project)).get(topic)?.get(0) ?? [];
    expect(ranges.map(({ first, last }) => [first, last]).sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0))).toEqual([
      [0, 9],
      [20, 29],
    ]);
    const range = (first: number, last: number, uri: string) => ({
      first,
      last,
      rows: 1,
      files: [{ uri, sha256: '' }],
    });
    const sizes = new Map([
      ['a', 10],
      ['b', 90],
      ['c', 10],
      ['d', 10],
    ]);
    const groups = groupsOf([range(0, 0, 'a'), range(1, 1, 'b'), range(2, 2, 'c'), range(3, 3, 'd')], sizes, {
      targetBytes: 100,
      minFiles: 2,
    });
    expect(groups.map((group) => group.map(({ first }) => first))).toEqual([[2, 3]]);
  });
});

describe('files whose offsets overlap', () => {
  /** Everything that the store has of the topic, and the manifests. */
  const stored = async (): Promise<unknown> => {
    const end = (await log.offsets(archiveTopic(project)))[0]?.high;
    return { objects: await objects.list(`archive/${project}/${topic}`), end };
  };
  const otherAt = (offset: number): LoggedEvent => ({ ...saleAt(offset), appendedAt: 9_000 + offset });
  const dearerAt = (offset: number): LoggedEvent => eventAt(offset, [offset, 1_000 + offset, offset % 3, 'city', 999]);

  test('by one archive, which writes each once, are refused by their names, and nothing changes', async () => {
    for (const [first, last] of [
      [0, 4],
      [5, 9],
      [8, 12],
    ] as const)
      await archived(first, last, stream, saleAt, 'p.archive.g1');
    const before = await stored();
    const [, second, third] = (await readArchivedRanges(log, project)).get(topic)?.get(0) ?? [];
    await expect(compactArchive(options())).rejects.toMatchObject({
      code: 'ARCHIVE_OVERLAP',
      message: expect.stringContaining('offsets 8 to 9 twice') as string,
      details: { files: [second, third].map((range) => range?.files[0]?.uri) },
    });
    expect(await stored()).toEqual(before);
  });

  test('by two archives are merged, and stay told apart from those of one', async () => {
    await archived(0, 4, stream, saleAt, 'p.archive.g1');
    await archived(5, 9, stream, saleAt, 'p.archive.g1');
    await compactArchive(options());
    await archived(8, 12, stream, saleAt, 'p.archive.g2');
    expect(
      (await readArchivedRanges(log, project))
        .get(topic)
        ?.get(0)
        ?.map(({ writer }) => writer),
    ).toEqual(['p.archive.g1', 'p.archive.g2']);
    await compactArchive(options());
    expect(await seen()).toEqual({ offsets: upTo(13), files: 1 });
    expect((await readArchivedRanges(log, project)).get(topic)?.get(0)?.[0]?.writer).toBeUndefined();
  });

  test.each([
    ['of another time', otherAt],
    ['of another value', dearerAt],
  ])('and have records %s there are refused by their names, and nothing changes', async (_, eventOf) => {
    await archived(0, 4);
    await archived(3, 7, stream, eventOf);
    const before = await stored();
    const files = (await readArchivedRanges(log, project)).get(topic)?.get(0) ?? [];
    const uris = files.flatMap((range) => range.files.map(({ sha256 }) => sha256));
    const refused = await compactArchive(options()).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'ARCHIVE_OVERLAP', details: { offset: 3 } });
    expect(uris).toHaveLength(2);
    for (const sha256 of uris) expect((refused as Error).message).toContain(sha256);
    expect(await stored()).toEqual(before);
  });
});

describe('files of an older contract', () => {
  const schema = { id: t.int(), at: t.timestamp(), customer: t.int(), city: t.string(), amount: t.decimal(2) };
  const written = (fields: Parameters<typeof eventStream>[1]['schema']): CompiledStream =>
    eventStream('sales', {
      schema: fields,
      eventId: 'id',
      eventTime: 'at',
      key: 'customer',
      allowedLateness: '1m',
    } as never).compiled;
  const paths = async (): Promise<string[]> =>
    Promise.all(
      ((await archiveFiles(log, project)).get(topic)?.files ?? []).map(({ uri, sha256 }) =>
        objects.localPath(uri, sha256),
      ),
    );

  test('are read with newer ones under the contract of today: added, removed and widened fields', async () => {
    const { city: _, ...withoutCity } = schema;
    const old = written({ ...withoutCity, channel: t.string() });
    await archived(0, 1, old, (offset) => eventAt(offset, [offset, 1_000 + offset, 1, 1_234, 'web']));
    await archived(2, 3);
    const today = written({ ...schema, city: t.string().nullable(), amount: t.decimal(4) });
    const read: LoggedEvent[] = [];
    for await (const events of offline.readEvents(today, await paths())) read.push(...events);
    expect(read.map(({ values }) => [values[0], values[3], values[4]])).toEqual([
      [0, null, 123_400],
      [1, null, 123_400],
      [2, 'city', 10_200],
      [3, 'city', 10_300],
    ]);
    // They stay apart: a merged file has one contract.
    expect(await compactArchive(options())).toEqual([]);
  });

  test('do not keep those of today from being merged', async () => {
    const old = written({ ...schema, channel: t.string() });
    await archived(0, 1, old, (offset) => eventAt(offset, [offset, 1_000 + offset, 1, 'city', 1_234, 'web']));
    for (const first of [2, 4, 6]) await archived(first, first + 1);
    expect(await compactArchive(options())).toMatchObject([{ first: 2, last: 7, replaced: 3 }]);
    expect(await seen()).toEqual({ offsets: upTo(8), files: 2 });
  });

  test.each([
    [
      'a required field that they lack',
      { ...schema, shop: t.string() },
      'sales.shop is required, and the file has none',
    ],
    ['a field of another type', { ...schema, city: t.int() }, 'sales.city is int, and string in the file'],
    [
      'a narrower decimal',
      { ...schema, amount: t.decimal(1) },
      'sales.amount is decimal(1), and decimal(2) in the file',
    ],
  ])('with %s are refused by file and field', async (_, fields, message) => {
    await archived(0, 1);
    const [file] = await paths();
    const reading = async (): Promise<void> => {
      for await (const _events of offline.readEvents(written(fields), [file ?? '']));
    };
    await expect(reading()).rejects.toMatchObject({ code: 'ARCHIVE_INCOMPATIBLE', message: `${file}: ${message}` });
  });
});
