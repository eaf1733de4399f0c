import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { archiveFiles } from '../../../activities/dataset/archiveFiles.js';
import { fraud, labels, transactions } from '../../../examples/fraud/project.js';
import { openArchivedInput } from '../../../stores/archive/archivedInput.js';
import { readIncarnations } from '../../../stores/archive/archivedRanges.js';
import type { LogProducer } from '../../../stores/log/log.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import { openDuckdbStore } from '../../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../../stores/offline/offlineStore.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import type { Topology } from '../../../streams/runtime/topology.js';
import { archiveTopology } from '../../../streams/topologies/archive/archiveTopology.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { paymentRecord, payments } from '../../support/payments.js';

const project = 'anew';
const topic = `${project}.transactions`;

let kafka: TestKafka;
let producer: LogProducer;
let offline: OfflineStore;
let objects: ObjectStore;
let archiving: Topology;

beforeAll(async () => {
  kafka = await startTestKafka();
  producer = await kafka.log.producer();
  offline = await openDuckdbStore({ threads: 1 });
  objects = openDiskObjectStore(join(kafka.directory, 'objects'));
  await kafka.log.ensureTopics([topic, `${project}.fraud-labels`].map((each) => ({ topic: each, partitions: 1 })));
  archiving = archiveTopology({
    project,
    model: fraud.compiled,
    generation: 1,
    partitions: 1,
    log: kafka.log,
    offline,
    objects,
  });
});
afterAll(async () => {
  await offline.close();
  await producer.close();
  await kafka.stop();
});

async function send(count: number, firstId: number): Promise<void> {
  const made = payments(count, { seed: 1, firstId, from: Date.parse('2018-05-01'), everyMs: 1_000 });
  await producer.send(made.map((payment) => paymentRecord(project, payment)));
}

async function recreate(): Promise<void> {
  await kafka.log.deleteTopics([topic]);
  while ((await kafka.log.partitionCount(topic)) !== null) await sleep(50);
  await kafka.log.ensureTopics([{ topic, partitions: 1 }]);
}

const start = (fatal: unknown[]): Promise<RunningTopology> =>
  runTopology(archiving, {
    log: kafka.log,
    instance: 'archive',
    directory: join(kafka.directory, 'machine'),
    commitIntervalMs: 50,
    onFatal: (error) => fatal.push(error),
  });

const archivedUpTo = async (): Promise<number> => (await archiveFiles(kafka.log, project)).get(topic)?.upTo[0] ?? 0;

/** Archives so much, or until it can not go on; says why. */
async function archiveUpTo(end: number): Promise<unknown[]> {
  const fatal: unknown[] = [];
  const running = await start(fatal);
  while (fatal.length === 0 && (await archivedUpTo()) < end) await sleep(50);
  await running.stop();
  return fatal;
}

async function replayed(to: number): Promise<number[]> {
  const input = openArchivedInput({
    log: kafka.log,
    objects,
    offline: () => Promise.resolve(offline),
    project,
    streams: [transactions.compiled, labels.compiled],
  });
  const ids: number[] = [];
  for await (const records of input.read({ topic, partition: 0 }, { from: 0, to }))
    ids.push(...records.map(({ value }) => (JSON.parse(String(value)) as { id: number }).id));
  return ids;
}
const idsFrom = (first: number, count: number): number[] => Array.from({ length: count }, (_, at) => first + at);

describe('a topic that is deleted and created anew', { timeout: 120_000 }, () => {
  test('is archived apart from the one before, by the machine that archived that, though it is longer', async () => {
    await send(50, 0);
    expect(await archiveUpTo(50)).toEqual([]);
    await recreate();
    await send(80, 1_000);
    expect(await archivedUpTo()).toBe(0);
    expect(await archiveUpTo(80)).toEqual([]);
    expect(await replayed(80)).toEqual(idsFrom(1_000, 80));
  });

  test('is not mixed with the one before where it happens while that is being archived', async () => {
    const fatal: unknown[] = [];
    const running = await start(fatal);
    await send(10, 1_500);
    while ((await archivedUpTo()) < 90) await sleep(50);
    await recreate();
    await send(200, 2_000);
    while (fatal.length === 0 && (await archivedUpTo()) < 200) await sleep(50);
    await running.stop();
    // Who sees it ends; whoever runs next archives the topic of now.
    for (const error of fatal) expect(['TOPIC_REPLACED', 'OFFSET_LOST']).toContain((error as { code?: string }).code);
    expect(await archiveUpTo(200)).toEqual([]);
    expect(await replayed(200)).toEqual(idsFrom(2_000, 200));
    const kept = (await readIncarnations(kafka.log, project)).get(topic)?.get(0) ?? [];
    expect(kept.slice(0, 2).map(({ ranges }) => ranges.reduce((rows, range) => rows + range.rows, 0))).toEqual([
      50, 90,
    ]);
  });
});
