import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ArchiveManifestRecord, CutRecord, PredictionRecord } from '../../../contracts/records.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { customerSpending, fraud } from '../../../examples/fraud/project.js';
import type { Log, LogRecord } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import { openDuckdbStore } from '../../../stores/offline/duckdbStore.js';
import type { DatasetManifest, OfflineStore } from '../../../stores/offline/offlineStore.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { archivedTopics } from '../../../streams/topologies/archive/archivedTopics.js';
import { findNewest } from '../../../workers/findRecord.js';
import { predictionLineage, type LineageParts } from '../../../workers/predictionLineage.js';
import { predictionOf } from '../../support/predictions.js';
import { draftOf } from '../stores/registry/registrySuite.js';

const model = fraud.compiled;
const PREDICTIONS = 'p.fraud.predictions';
const CUTS = 'p.fraud.cuts';
const cut: CutRecord = { id: 'terminal-1-40', folded: { 'p.fraud-labels': { 0: 200, 1: 190 } } };

let folder: string;
let log: Log;
let now: number;
let registry: Registry;
let objects: ObjectStore;
let offline: OfflineStore | null;
let parts: LineageParts;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-lineage-'));
  now = 1;
  log = createMemoryLog({ clock: () => now });
  await log.ensureTopics([PREDICTIONS, CUTS, 'p.archive'].map((topic) => ({ topic, partitions: 3 })));
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db'), clock: () => 0 });
  objects = openDiskObjectStore(join(folder, 'objects'));
  offline = null;
  const open = async (): Promise<OfflineStore> => (offline ??= await openDuckdbStore({ threads: 1 }));
  parts = { project: 'p', log, registry, objects, offline: open };
});
afterEach(async () => {
  await offline?.close();
  await registry.close();
  await rm(folder, { recursive: true });
});

const vector = model.service.columns.map(() => 0.5);
async function send(topic: string, key: string, value: unknown): Promise<void> {
  const producer = await log.producer();
  await producer.send([{ topic, key, value: JSON.stringify(value) }]);
  await producer.close();
}
const predict = (given: Partial<PredictionRecord>): Promise<void> =>
  send(PREDICTIONS, String(given.entity ?? 3), predictionOf({ vector, ...given }));

/** Registers version 1 with the manifest of its dataset. */
async function register(): Promise<DatasetManifest> {
  const manifest: DatasetManifest = {
    uri: 'objects://datasets/d.parquet',
    sha256: 'd',
    rows: 100,
    positives: 7,
    columns: [],
    service: model.service.hash,
    viewHashes: [],
    window: { from: 0, to: 86_400_000, labelCutOff: 172_800_000 },
    asServed: 60,
    eventTime: 40,
    offsets: { 'p.transactions': { 0: 5_000, 1: 4_900 } },
  };
  const dataset = await objects.put('manifests', 'json', Buffer.from(JSON.stringify(manifest)));
  const fence = await registry.openRollout('fraud', 'p/retrain/fraud/1', 'drift');
  const { name, hash } = customerSpending.compiled;
  const lineage = { views: { [name]: hash } };
  await registry.registerVersion({ ...draftOf('fraud', 'a'.repeat(64)), dataset, trigger: 'drift', lineage }, fence);
  return manifest;
}

/** Writes records of a topic to its archive, as if the log had let them go. */
async function archive(topic: string, values: readonly { readonly key: string; readonly value: unknown }[]) {
  const archived = archivedTopics('p', model).find((each) => each.topic === topic);
  if (archived === undefined) throw new Error(`${topic} is not archived`);
  const file = join(folder, 'rows.parquet');
  const events = values.map(({ key, value }, offset) => {
    const record: LogRecord = {
      topic,
      partition: 2,
      offset,
      timestamp: 1,
      key: Buffer.from(key),
      value: Buffer.from(JSON.stringify(value)),
      headers: {},
    };
    return { time: 1, id: offset, values: archived.row(record) ?? [], partition: 2, offset };
  });
  await (await parts.offline()).writeEvents(archived.stream, file, events);
  const { uri, sha256 } = await objects.putFile(`archive/p/${topic}`, 'parquet', file);
  const manifest: ArchiveManifestRecord = {
    topic,
    partition: 2,
    first: 0,
    last: values.length - 1,
    rows: values.length,
    files: [{ uri, sha256 }],
  };
  await send('p.archive', topic, manifest);
}

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing',
    (error: unknown) => (isTidemillError(error) ? error.code : String(error)),
  );

describe('the lineage of a prediction', () => {
  test('leads to the version, its dataset down to offsets, and what was known at that moment', async () => {
    await register();
    await send(CUTS, 'another', { ...cut, id: 'another', folded: {} });
    await send(CUTS, cut.id, cut);
    // Ids that contain the wanted one, and the wanted one as something else.
    for (const id of [1_042, 1, 142]) await predict({ id, entity: id });
    await predict({ id: 420, entity: 42, cut: 'another' });
    await predict({ id: 42, entity: 5, cut: cut.id, score: 0.75, decision: 'review' });
    const found = await predictionLineage(parts, model, '42');
    expect(found).toEqual({
      id: 42,
      at: '1970-01-01T00:00:01.000Z',
      model: 'fraud',
      score: 0.75,
      decision: 'review',
      role: 'champion',
      epoch: 1,
      service: 'service',
      place: found.place,
      foundIn: 'log',
      cut: { request: { topic: 'p.transactions', partition: 0, offset: 7 }, folded: cut.folded, requests: {} },
      version: {
        version: 1,
        status: 'registered',
        trainer: 'xgboost',
        trigger: 'drift',
        createdAt: '1970-01-01T00:00:00.000Z',
        codeVersion: 'abc',
        workflow: { id: 'retrain/fraud/manual', runId: 'r1' },
        artifact: { uri: `objects/${'a'.repeat(64)}`, sha256: 'a'.repeat(64) },
        views: { customer_spending: customerSpending.compiled.hash },
        dataset: {
          uri: expect.stringMatching(/^objects:\/\/manifests\//) as string,
          sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
          content: {
            rows: 100,
            positives: 7,
            asServed: 60,
            from: '1970-01-01T00:00:00.000Z',
            to: '1970-01-02T00:00:00.000Z',
            labelCutOff: '1970-01-03T00:00:00.000Z',
            offsets: { 'p.transactions': { 0: 5_000, 1: 4_900 } },
          },
        },
      },
    });
    const { topic, partition, offset } = found.place;
    expect(topic).toBe(PREDICTIONS);
    const [place] = (await log.offsets(PREDICTIONS)).filter((each) => each.partition === partition);
    expect(offset).toBeLessThan(place?.high ?? 0);
  });

  test('finds ids that are texts, also such as look like numbers or need quotes', async () => {
    for (const id of ['7', 'a"b', '-3']) {
      await predict({ id, version: 0, role: 'fallback' });
      expect(await predictionLineage(parts, model, id)).toMatchObject({ id, version: null });
    }
  });

  test('of rules has no version, and without a cut nothing but requests was known', async () => {
    await predict({ id: 5, version: 0, role: 'fallback', cut: null });
    expect(await predictionLineage(parts, model, '5')).toMatchObject({
      version: null,
      cut: { folded: {}, requests: {} },
    });
  });

  test('names the requests that were counted by another field than their topic’s key, its own the last of its partition', async () => {
    const crossed: CutRecord = {
      ...cut,
      id: 'driver-1-8',
      requests: { driver: { 0: [4, null], 1: [0, 190, [30, 60]] } },
    };
    const requests = {
      driver: {
        0: [[4, 8]],
        1: [
          [0, 30],
          [60, 190],
        ],
      },
    };
    await send(CUTS, crossed.id, crossed);
    await predict({ id: 5, version: 0, cut: crossed.id });
    expect((await predictionLineage(parts, model, '5')).cut).toMatchObject({ folded: cut.folded, requests });
    await archive(PREDICTIONS, [{ key: '3', value: predictionOf({ id: 9, version: 0, vector, cut: 'driver-1-9' }) }]);
    await archive(CUTS, [{ key: 'driver-1-9', value: { ...crossed, id: 'driver-1-9' } }]);
    expect((await predictionLineage(parts, model, '9')).cut).toMatchObject({ folded: cut.folded, requests });
  });

  test('is found in the archive where the log has let it go', async () => {
    await register();
    await predict({ id: 6, cut: null });
    await archive(PREDICTIONS, [
      { key: '3', value: predictionOf({ id: 8, vector }) },
      { key: '3', value: predictionOf({ id: 9, vector, cut: cut.id, score: 0.5 }) },
    ]);
    await archive(CUTS, [{ key: cut.id, value: cut }]);
    expect(await predictionLineage(parts, model, '9')).toMatchObject({
      id: 9,
      score: 0.5,
      foundIn: 'archive',
      place: { topic: PREDICTIONS, partition: 2, offset: 1 },
      cut: { request: { topic: 'p.transactions', partition: 0, offset: 7 }, folded: cut.folded },
      version: { version: 1 },
    });
    expect(offline).not.toBeNull();
  });

  test('says what is not there', async () => {
    expect(await codeOf(predictionLineage(parts, model, '1'))).toBe('PREDICTION_NOT_FOUND');
    await predict({ id: 1, version: 3, cut: 'gone' });
    expect(await codeOf(predictionLineage(parts, model, '1'))).toBe('VERSION_NOT_FOUND');
    await predict({ id: 2, version: 0, cut: 'gone' });
    expect((await predictionLineage(parts, model, '2')).cut).toMatchObject({ folded: null, requests: null });
    const fence = await registry.openRollout('fraud', 'w', 'manual');
    const dataset = { uri: 'objects://manifests/none.json', sha256: 'none' };
    await registry.registerVersion({ ...draftOf('fraud', 'b'), dataset }, fence);
    await predict({ id: 3, version: 1 });
    expect((await predictionLineage(parts, model, '3')).version?.dataset).toEqual({ ...dataset, content: null });
  });
});

describe('looking back in a topic', () => {
  test('gives the newest record that matches, however far back and in whatever partition', async () => {
    const producer = await log.producer();
    await log.ensureTopics([{ topic: 'p.long', partitions: 2 }]);
    const record = (partition: number, value: string) => ({ topic: 'p.long', partition, key: null, value });
    await producer.send([record(0, 'first'), record(1, 'twice')]);
    now = 2;
    await producer.send([...Array.from({ length: 25_000 }, () => record(0, 'other')), record(0, 'twice')]);
    now = 3;
    await producer.send(Array.from({ length: 25_000 }, () => record(1, 'other')));
    await producer.close();
    const find = (value: string) => findNewest(log, 'p.long', (each) => each.value?.toString() === value);
    expect(await find('first')).toMatchObject({ partition: 0, offset: 0 });
    expect(await find('twice')).toMatchObject({ partition: 0, timestamp: 2 });
    expect(await find('nowhere')).toBeNull();
    expect(await findNewest(log, 'p.none', () => true)).toBeNull();
  });
});
