import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { verifyServed, type ServedAudit } from '../../../activities/audit/verifyServed.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import { predictionsTopic } from '../../../contracts/topics.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { OutgoingRecord } from '../../../stores/log/log.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { randomNumbers } from '../../support/payments.js';
import { writeRidesModule } from '../../support/ridesModule.js';
import { StreamWorker, workerConfiguration } from '../../support/streamWorker.js';

const PARTITIONS = 3;
const RIDES = 12_000;

let kafka: TestKafka;
beforeAll(async () => {
  kafka = await startTestKafka();
});
afterAll(() => kafka.stop());

/** Rides in the order of their times, some of them at one time, of few drivers who take riders of all partitions. */
function history(project: string): OutgoingRecord[] {
  const random = randomNumbers(7);
  let at = Date.parse('2026-01-02T00:00:00Z');
  return Array.from({ length: RIDES }, (_, id) => {
    if (random() > 0.3) at += 5_000;
    const rider = Math.floor(random() * 500);
    const ride = { id, at, rider, driver: Math.floor(random() * 20), fare: Math.floor(random() * 40_000) / 100 };
    return { topic: `${project}.rides`, key: String(rider), value: JSON.stringify(ride) };
  });
}

/**
 * Replays the history at full speed and audits what was answered: a worker is killed in the first half of it, which another
 * takes up; the second half comes when two workers share the tasks.
 */
async function replay(id: string, answer: string): Promise<{ audit: ServedAudit; predictions: PredictionRecord[] }> {
  const file = join(kafka.directory, `${id}.mjs`);
  const project = await writeRidesModule(file, id, answer);
  const [model] = project.models as readonly [CompiledModel];
  const configuration = workerConfiguration(id, file, kafka.broker, join(kafka.directory, id));
  await kafka.log.ensureTopics(
    ['rides', 'complaints'].map((name) => ({ topic: `${id}.${name}`, partitions: PARTITIONS })),
  );
  const rides = history(id);
  const producer = await kafka.log.producer();
  await producer.send(rides.slice(0, RIDES / 2));
  const initialise = new StreamWorker(configuration, ['--model', 'refusal', '--initialise', 'start']);
  expect(await initialise.end()).toMatchObject({ code: 0 });

  const start = (name: string, env = {}): StreamWorker =>
    new StreamWorker(configuration, ['--model', 'refusal', '--instance', name], env);
  // Dies with outputs sent and offsets not: what it was answering is answered by another. Each of its six tasks commits.
  const killed = start('first', { TIDEMILL_FAIL_POINT: 'after-outputs:4' });
  expect(await killed.end()).toMatchObject({ signal: 'SIGKILL' });
  const [first, second] = [start('first'), start('second')];
  await Promise.all([first.recovered(), second.recovered()]);
  await producer.send(rides.slice(RIDES / 2));
  await producer.close();
  const read = async (): Promise<PredictionRecord[]> =>
    (await readTopic(kafka.log, predictionsTopic(id, 'refusal'))).map((record) => jsonOf<PredictionRecord>(record));
  while ((await read()).length < RIDES) {
    first.requireRunning();
    second.requireRunning();
    await sleep(300);
  }
  expect(await first.stop()).toMatchObject({ code: 0 });
  expect(await second.stop()).toMatchObject({ code: 0 });
  const audit = await verifyServed(kafka.log, id, model, new Map());
  expect(audit.findings).toEqual([]);
  expect(audit).toMatchObject({ records: RIDES, predictions: RIDES, missing: 0, repeated: 0, maxDifference: 0 });
  return { audit, predictions: await read() };
}

describe('history that is replayed by two processes after one was killed', () => {
  test('answered in order, sees everything up to the time of each request', { timeout: 240_000 }, async () => {
    const { audit, predictions } = await replay('ridesordered', `{ maxWait: '1h' }`);
    expect(audit.skew).toEqual({ rows: 0, inFlight: 0, lateEvent: 0, lateLabel: 0 });
    expect(predictions.filter(({ early }) => early === true)).toEqual([]);
  });

  test('answered on arrival, says how much was on its way', { timeout: 240_000 }, async () => {
    const { audit } = await replay('ridesarrival', `'arrival'`);
    expect(audit.skew.inFlight).toBeGreaterThan(0);
    expect(audit.skew.rows).toBe(audit.skew.inFlight);
  });
});
