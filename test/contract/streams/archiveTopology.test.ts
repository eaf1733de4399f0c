import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ArchiveManifestRecord } from '../../../contracts/records.js';
import { archiveTopic, deadLetterTopic } from '../../../contracts/topics.js';
import { fraud, transactions } from '../../../examples/fraud/project.js';
import type { LoggedEvent } from '../../../features/types.js';
import type { LogRecord, TopicPartition } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import { openDuckdbStore } from '../../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../../stores/offline/offlineStore.js';
import { archiveTopology } from '../../../streams/topologies/archive/archiveTopology.js';
import { payments, type Payment } from '../../support/payments.js';
import { driveTask } from '../../support/taskDriver.js';

const project = 'p';
const entry = { topic: `${project}.transactions`, partition: 2 };

describe('the archive of an event stream', () => {
  let folder: string;
  let offline: OfflineStore;
  let objects: ObjectStore;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-archive-test-'));
    offline = await openDuckdbStore({ threads: 1 });
    objects = openDiskObjectStore(folder);
  });
  afterAll(async () => {
    await offline.close();
    await rm(folder, { recursive: true });
  });

  const parts = () => {
    const log = createMemoryLog({ clock: () => 0 });
    return { project, model: fraud.compiled, generation: 1, log, offline, objects };
  };
  const recordAt = (place: TopicPartition, offset: number, payment: Payment): LogRecord => {
    const value = Buffer.from(JSON.stringify(payment));
    return { ...place, offset, timestamp: payment.at, key: null, value, headers: {} };
  };

  test('has a row per record that keeps the contract: values, place in the log and append time', async () => {
    const made = payments(20, { seed: 1 });
    const records = made.map((payment, offset): LogRecord => {
      const value = Buffer.from(offset === 5 ? 'no event' : JSON.stringify(payment));
      // The log took it some time after it happened: another time for every record.
      return { ...entry, offset, timestamp: payment.at + 1_000 + offset, key: null, value, headers: {} };
    });
    const topology = archiveTopology({ ...parts(), partitions: 3 });
    const { outputs } = await driveTask({
      create: () => topology.createTask('archive-2', [entry]),
      records,
      commitEvery: 8,
      snapshotEvery: 100,
    });
    const manifests = outputs.map(({ topic, value }) => {
      expect(topic).toBe(archiveTopic(project));
      return JSON.parse(String(value)) as ArchiveManifestRecord;
    });
    expect(manifests.map(({ first, last, rows }) => [first, last, rows])).toEqual([
      [0, 7, 7],
      [8, 15, 8],
      [16, 19, 4],
    ]);
    const files = await Promise.all(
      manifests.flatMap((manifest) => manifest.files).map(({ uri, sha256 }) => objects.localPath(uri, sha256)),
    );
    const read: LoggedEvent[] = [];
    for await (const chunk of offline.readEvents(transactions.compiled, files)) read.push(...chunk);
    expect(read).toEqual(
      made.flatMap(({ id, at, customer, terminal, amount }, offset) => {
        const values = [id, at, customer, terminal, Math.round(amount * 100)];
        return offset === 5 ? [] : [{ time: at, id, values, partition: 2, offset, appendedAt: at + 1_000 + offset }];
      }),
    );
  });

  test('of more partitions than its topic has has its manifests there all the same, in the order of the offsets', async () => {
    const wide = { topic: entry.topic, partition: 4 };
    const topology = archiveTopology({ ...parts(), partitions: 3 });
    const { outputs } = await driveTask({
      create: () => topology.createTask('archive-4', [wide]),
      records: payments(4, { seed: 1 }).map((payment, offset) => recordAt(wide, offset, payment)),
      commitEvery: 2,
      snapshotEvery: 100,
    });
    expect(outputs.map(({ partition }) => partition)).toEqual([1, 1]);
    expect(outputs.map(({ value }) => (JSON.parse(String(value)) as ArchiveManifestRecord).partition)).toEqual([4, 4]);
  });

  test('holds no more than so many bytes of records before it writes them', () => {
    const dead = { topic: deadLetterTopic(project), partition: 0 };
    const task = archiveTopology({ ...parts(), partitions: 3 }).createTask('archive-0', [dead]);
    const output = { emit: () => undefined, deadLetter: () => undefined };
    const value = Buffer.alloc(2 ** 20);
    let folded = 0;
    while (task.pendingRows === 0 && folded < 1_000)
      task.fold(task.parse({ ...dead, offset: folded++, timestamp: 0, key: null, value, headers: {} }), output, false);
    expect(folded).toBe(64);
  });
});
