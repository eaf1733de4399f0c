import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Configuration } from '../../../contracts/configuration.js';
import { onlineStoreIn } from '../../../contracts/onlineAddress.js';
import type { ReportRecord } from '../../../contracts/performanceReport.js';
import type { OutcomeRecord } from '../../../contracts/records.js';
import { registryIn } from '../../../contracts/registryAddress.js';
import { groupId, hopTopic, outcomesTopic, predictionsTopic, reportsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import { seededRandom } from '../../../models/statistics/random.js';
import type { LogProducer, LogRecord, OutgoingRecord } from '../../../stores/log/log.js';
import { expectedReports } from '../../support/expectedReports.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { predictionOf } from '../../support/predictions.js';
import { StreamWorker } from '../../support/streamWorker.js';

const PARTITIONS = 4;
const HOUR = 3_600_000;
const project = 'reporttest';
const identity = { project, name: 'monitor.fraud', generation: 1 };
const predictions = predictionsTopic(project, 'fraud');
const outcomes = outcomesTopic(project, 'fraud');
const START = Date.parse('2026-01-01T00:00:00Z');

let kafka: TestKafka;
let configuration: Configuration;
let producer: LogProducer;

beforeAll(async () => {
  kafka = await startTestKafka();
  producer = await kafka.log.producer();
  const home = join(kafka.directory, 'home');
  configuration = {
    project,
    projectModule: join(process.cwd(), 'dist', 'examples', 'fraud', 'project.js'),
    kafkaBrokers: [kafka.broker],
    temporalAddress: '127.0.0.1:1',
    temporalNamespace: 'default',
    home,
    registry: registryIn(home),
    online: onlineStoreIn(home),
  };
  const topics = [`${project}.transactions`, `${project}.fraud-labels`, predictions, outcomes];
  await kafka.log.ensureTopics(topics.map((topic) => ({ topic, partitions: PARTITIONS })));
});
afterAll(async () => {
  await producer.close();
  await kafka.stop();
});

/** Predictions of five days and what came true of them a week later, some of it much later, and some revised. */
function made(length: number): OutgoingRecord[] {
  const random = seededRandom('reports');
  return Array.from({ length }, (_, id): OutgoingRecord[] => {
    const at = START + id * 60_000 - (random.next() < 0.05 ? random.below(4) * HOUR : 0);
    const score = random.next() ** 2;
    const prediction = predictionOf({ id, at, score, decision: score > 0.9 ? 'block' : 'allow' });
    const { model, version, role, epoch, arm } = prediction;
    const label = random.next() < score ? 1 : 0;
    const knownAt = at + (random.next() < 0.1 ? 8 : 7) * 24 * HOUR;
    const common = { id, at, model, version, role, epoch, score, arm, others: [], entity: null };
    const outcome: OutcomeRecord = { ...common, knownAt, label, revision: 0, source: 'natural' };
    const revised: OutcomeRecord = {
      ...outcome,
      label: 1 - label,
      revision: 1,
      replaces: { label, source: 'natural' },
    };
    const records = [prediction, outcome, ...(random.next() < 0.05 ? [revised] : [])];
    return records.map((record) => ({
      topic: 'knownAt' in record ? outcomes : predictions,
      key: String(id),
      value: JSON.stringify(record),
    }));
  }).flat();
}

async function readAll(topic: string): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for (const { partition, low, high } of await kafka.log.offsets(topic))
    for await (const batch of kafka.log.read({ topic, partition, from: low, to: high })) records.push(...batch);
  return records;
}

async function caughtUp(): Promise<boolean> {
  for (const topic of [predictions, outcomes, hopTopic(identity, 'counts'), hopTopic(identity, 'losses')]) {
    if ((await kafka.log.partitionCount(topic)) === null) return false;
    const ends = await kafka.log.offsets(topic);
    const committed = await kafka.log.committed(
      groupId(identity),
      ends.map(({ partition }) => ({ topic, partition })),
    );
    if (ends.some(({ high }, at) => (committed[at]?.offset ?? 0) < high)) return false;
  }
  return true;
}

test('reports are told exactly once through kill -9, and say what the records say', { timeout: 240_000 }, async () => {
  const start = (name: string, env = {}): StreamWorker =>
    new StreamWorker(configuration, ['--topologies', 'monitor', '--model', 'fraud', '--instance', name], env);
  let first = start('first');
  // Dies by itself with outputs sent and offsets not: the worst moment there is.
  let second = start('second', { TIDEMILL_FAIL_POINT: 'after-outputs:8' });
  const records = made(7_200);
  const chunk = Math.ceil(records.length / 20);
  for (let at = 0; at < 20; at++) {
    await producer.send(records.slice(at * chunk, (at + 1) * chunk));
    await sleep(300);
    if (at === 7) {
      await first.kill();
      first = start('first');
    }
    if (at === 14) {
      if (second.isRunning) await second.kill();
      second = start('second');
    }
  }
  while (!(await caughtUp())) await sleep(200);
  expect(await first.stop()).toMatchObject({ code: 0 });
  expect(await second.stop()).toMatchObject({ code: 0 });

  const input = [...(await readAll(predictions)), ...(await readAll(outcomes))];
  const expected = expectedReports(project, fraud.compiled, input, PARTITIONS, HOUR);
  const reports = (await readAll(reportsTopic(project, 'fraud'))).map(
    ({ value }) => JSON.parse(String(value)) as ReportRecord,
  );
  const byBucket = new Map<number, ReportRecord[]>();
  for (const report of reports) byBucket.set(report.from, [...(byBucket.get(report.from) ?? []), report]);
  expect(expected.length).toBeGreaterThan(100);
  expect(byBucket.size).toBe(expected.length);
  expect(reports.length).toBeGreaterThan(2 * expected.length);
  for (const { from, predictions: said, outcomes: known } of expected) {
    const told = byBucket.get(from) as ReportRecord[];
    expect(told.map(({ revision }) => revision)).toEqual(told.map((_, at) => at));
    const newest = told.at(-1);
    expect(newest?.predictions?.rows).toBe(said?.rows);
    expect(newest?.outcomes?.rows).toBe(known?.rows);
    expect(newest?.outcomes?.positives).toBe(known?.positives);
    if (known !== null) expect(newest?.outcomes?.logLoss).toBeCloseTo(known.logLoss as number, 6);
  }
});
