import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTopic } from '../../../activities/audit/readTopic.js';
import {
  archiveTopic,
  groupId,
  hopTopic,
  lateTopic,
  predictionsTopic,
  topologyPrefix,
} from '../../../contracts/topics.js';
import { fraud, labels, transactions } from '../../../examples/fraud/project.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import { openArchivedInput, type ArchivedInput } from '../../../stores/archive/archivedInput.js';
import { createKafka } from '../../../stores/log/kafkaClient.js';
import type { LogProducer, OutgoingRecord } from '../../../stores/log/log.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../../stores/offline/offlineStore.js';
import { initialiseGroup } from '../../../streams/runtime/initialiseGroup.js';
import { runTopology } from '../../../streams/runtime/runTopology.js';
import { SnapshotStore } from '../../../streams/runtime/snapshotStore.js';
import type { TaskEvent } from '../../../streams/runtime/taskContext.js';
import type { Topology } from '../../../streams/runtime/topology.js';
import { archiveTopology } from '../../../streams/topologies/archive/archiveTopology.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { labelRecord, paymentRecord, payments, randomNumbers } from '../../support/payments.js';

const project = 'kept';
const PARTITIONS = 2;
const source = `${project}.transactions`;

let kafka: TestKafka;
let producer: LogProducer;
let offline: OfflineStore;
let archive: ArchivedInput;
let archiving: Topology;
let scoring: Topology;

beforeAll(async () => {
  kafka = await startTestKafka();
  producer = await kafka.log.producer();
  offline = await openDuckdbStore({ threads: 1 });
  await kafka.log.ensureTopics(
    ['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: PARTITIONS })),
  );
  const objects = openDiskObjectStore(join(kafka.directory, 'objects'));
  const common = { project, model: fraud.compiled, generation: 1, partitions: PARTITIONS };
  archiving = archiveTopology({ ...common, log: kafka.log, offline, objects });
  scoring = scoreTopology({ ...common, scorer: createFallbackScorer(fraud.compiled) });
  archive = openArchivedInput({
    log: kafka.log,
    objects,
    offline: () => Promise.resolve(offline),
    project,
    streams: [transactions.compiled, labels.compiled],
  });
});
afterAll(async () => {
  await offline.close();
  await producer.close();
  await kafka.stop();
});

/** Payments out of order, repeated, late and broken, each with a label. */
function made(count: number, firstId: number): OutgoingRecord[] {
  const random = randomNumbers(firstId + 1);
  const from = Date.parse('2018-05-01') + firstId * 60_000;
  return payments(count, { seed: firstId, firstId, from, everyMs: 60_000 }).flatMap((payment) => {
    const what = random();
    const behind = what < 0.03 ? 40 * 86_400_000 : what < 0.2 ? 1_800_000 : 0;
    const record = paymentRecord(project, { ...payment, at: payment.at - behind });
    const records = [record, labelRecord(project, payment)];
    if (what > 0.97) records.push(record);
    if (what > 0.95) records.push({ ...record, value: '{"id":' });
    return records;
  });
}

/** Deletes what a topic has before these offsets, as retention does. */
async function deleteBefore(topic: string, offsets: readonly number[]): Promise<void> {
  const admin = createKafka({ brokers: [kafka.broker], clientId: 'retention' }).admin();
  await admin.connect();
  // What it may delete from it must know.
  await admin.fetchTopicOffsets(topic);
  const partitions = offsets.map((offset, partition) => ({ partition, offset: String(offset) }));
  await admin.deleteTopicRecords({ topic, partitions });
  await admin.disconnect();
}

async function hasCaughtUp(topology: Topology): Promise<boolean> {
  for (const topic of [source, `${project}.fraud-labels`, hopTopic(scoring.identity, 'terminal')]) {
    if (!topology.sources.some((each) => each.topic === topic)) continue;
    const ends = await kafka.log.offsets(topic);
    const places = ends.map(({ partition }) => ({ topic, partition }));
    const committed = await kafka.log.committed(groupId(topology.identity), places);
    if (ends.some(({ high }, at) => (committed[at]?.offset ?? 0) < high)) return false;
  }
  return true;
}

/** Runs a topology until it has caught up, or can not go on; says what happened. */
async function run(
  topology: Topology,
  machine: string,
  archived?: ArchivedInput,
): Promise<{ events: TaskEvent[]; fatal: unknown[] }> {
  const events: TaskEvent[] = [];
  const fatal: unknown[] = [];
  const running = await runTopology(topology, {
    log: kafka.log,
    instance: machine,
    directory: join(kafka.directory, machine),
    commitIntervalMs: 50,
    ...(archived === undefined ? {} : { archive: archived }),
    onEvent: (event) => events.push(event),
    onFatal: (error) => fatal.push(error),
  });
  const isReady = (): boolean =>
    running.status.length > 0 && running.status.every(({ state }) => state === 'live' || state === 'stopped');
  while (fatal.length === 0 && !(isReady() && (await hasCaughtUp(topology)))) await sleep(50);
  await running.stop();
  return { events, fatal };
}

/** The state of every task, byte for byte. */
async function stateOn(machine: string): Promise<Record<string, string[]>> {
  const state: Record<string, string[]> = {};
  const prefix = topologyPrefix(scoring.identity);
  for (const task of new Set(
    [0, 1].flatMap((partition) => scoring.sources.map(({ topic }) => scoring.taskOf({ topic, partition }))),
  )) {
    const store = await SnapshotStore.open(join(kafka.directory, machine, 'snapshots', prefix, task), () => undefined);
    state[task] = [...store.entries()].map(
      ({ key, value }) => `${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`,
    );
    await store.restored();
    await store.close();
  }
  return state;
}

const answers = async (): Promise<number[]> =>
  (await readTopic(kafka.log, predictionsTopic(project, 'fraud')))
    .map(({ value }) => (JSON.parse(String(value)) as { id: number }).id)
    .sort((a, b) => a - b);

describe('a stream whose beginning is only in the archive', { timeout: 180_000 }, () => {
  let whole: Record<string, string[]>;
  let answered: number[];

  test('gives the same state as the whole log, byte for byte, and no answer twice', async () => {
    await producer.send(made(2_000, 0));
    expect((await run(archiving, 'archive')).fatal).toEqual([]);
    await initialiseGroup(kafka.log, scoring, 'start');
    expect((await run(scoring, 'first')).fatal).toEqual([]);
    answered = await answers();
    expect(answered.length).toBeGreaterThan(1_500);
    expect(new Set(answered).size).toBe(answered.length);
    await run(scoring, 'from-the-log');
    whole = await stateOn('from-the-log');
    expect(Object.values(whole).flat().length).toBeGreaterThan(100);

    await deleteBefore(source, [700, 500]);
    await deleteBefore(`${project}.fraud-labels`, [300, 400]);
    const { events, fatal } = await run(scoring, 'from-the-archive', archive);
    expect(fatal).toEqual([]);
    expect(
      events.flatMap((event) => (event.kind === 'readingArchive' ? [[event.name, event.from, event.to]] : [])).sort(),
    ).toEqual([
      ['kept.fraud-labels-0', 0, 300],
      ['kept.fraud-labels-1', 0, 400],
      ['kept.transactions-0', 0, 700],
      ['kept.transactions-1', 0, 500],
    ]);
    expect(await stateOn('from-the-archive')).toEqual(whole);
    expect(await answers()).toEqual(answered);
  });

  test('answers what it had not answered before the log lost it', async () => {
    await producer.send(made(400, 10_000));
    expect((await run(archiving, 'archive')).fatal).toEqual([]);
    const ends = await kafka.log.offsets(source);
    await deleteBefore(
      source,
      ends.map(({ high }) => high - 20),
    );
    expect((await run(scoring, 'from-the-archive', archive)).fatal).toEqual([]);
    const now = await answers();
    expect(new Set(now).size).toBe(now.length);
    const added = now.filter((id) => id >= 10_000);
    expect(added.length).toBeGreaterThan(200);
    const late = (await readTopic(kafka.log, lateTopic(project))).map(
      ({ value }) => JSON.parse(String(value)) as { id: number; source: { topic: string } },
    );
    const lateIds = late.filter(({ id, source: from }) => id >= 10_000 && from.topic === source).map(({ id }) => id);
    // Each request ended, once: answered or late.
    expect([...new Set([...added, ...lateIds])].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 400 }, (_, at) => 10_000 + at),
    );
    expect(now.filter((id) => id < 10_000)).toEqual(answered);
  });

  test('is refused without the archive, and where the archive has a gap, by the offsets that are lost', async () => {
    const [first] = await kafka.log.offsets(source);
    expect((await run(scoring, 'without')).events.filter(({ kind }) => kind === 'recovered').length).toBeGreaterThan(0);
    await producer.send(made(200, 20_000));
    const ends = await kafka.log.offsets(source);
    await deleteBefore(
      source,
      ends.map(({ high }) => high),
    );
    for (const archived of [undefined, archive]) {
      const { fatal } = await run(scoring, 'from-the-archive', archived);
      expect(fatal[0]).toMatchObject({ code: 'OFFSET_LOST' });
    }
    const end = first?.high ?? 0;
    const read = async (): Promise<void> => {
      for await (const _ of archive.read({ topic: source, partition: 0 }, { from: end - 5, to: ends[0]?.high ?? 0 }));
    };
    await expect(read()).rejects.toMatchObject({
      code: 'OFFSET_LOST',
      message: `${source}-0: offsets ${end} to ${(ends[0]?.high ?? 0) - 1} are neither in the log nor in the archive`,
    });
    expect(await kafka.log.partitionCount(archiveTopic(project))).toBe(PARTITIONS);
  });
});
