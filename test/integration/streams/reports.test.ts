import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import type { Configuration } from '../../../contracts/configuration.js';
import type { ReportRecord } from '../../../contracts/performanceReport.js';
import type { OutcomeRecord } from '../../../contracts/records.js';
import { groupId, hopTopic, outcomesTopic, predictionsTopic, reportsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import { seededRandom } from '../../../models/statistics/random.js';
import type { LogProducer, OutgoingRecord } from '../../../stores/log/log.js';
import { expectedReports } from '../../support/expectedReports.js';
import { hasCaughtUp } from '../../support/caughtUp.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { predictionOf } from '../../support/predictions.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';

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
  configuration = fraudConfiguration(project, kafka.broker, join(kafka.directory, 'home'));
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
  const read = [predictions, outcomes, hopTopic(identity, 'counts'), hopTopic(identity, 'losses')];
  while (!(await hasCaughtUp(kafka.log, groupId(identity), read))) await sleep(200);
  expect(await first.stop()).toMatchObject({ code: 0 });
  expect(await second.stop()).toMatchObject({ code: 0 });

  const input = [...(await readTopic(kafka.log, predictions)), ...(await readTopic(kafka.log, outcomes))];
  const expected = expectedReports(project, fraud.compiled, input, PARTITIONS, HOUR);
  const reports = (await readTopic(kafka.log, reportsTopic(project, 'fraud'))).map((each) =>
    jsonOf<ReportRecord>(each),
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
