import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import type { Configuration } from '../../../contracts/configuration.js';
import { groupId, hopTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { LogProducer, OutgoingRecord } from '../../../stores/log/log.js';
import { hasCaughtUp } from '../../support/caughtUp.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { labelRecord, paymentRecord, payments, randomNumbers, type Payment } from '../../support/payments.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';

const PARTITIONS = 4;
const identity = { project: 'fraudtest', name: 'score.fraud', generation: 1 };

let kafka: TestKafka;
let configuration: Configuration;
let producer: LogProducer;

beforeAll(async () => {
  kafka = await startTestKafka();
  producer = await kafka.log.producer();
  configuration = fraudConfiguration(identity.project, kafka.broker, join(kafka.directory, 'home'));
  await kafka.log.ensureTopics(
    ['transactions', 'fraud-labels'].map((name) => ({ topic: `${identity.project}.${name}`, partitions: PARTITIONS })),
  );
});
afterAll(async () => {
  await producer.close();
  await kafka.stop();
});

/** Requests first, then what they became. */
const READ = [`${identity.project}.transactions`, hopTopic(identity, 'terminal'), `${identity.project}.fraud-labels`];

/** Payments with everything that goes wrong: broken records, repeats, old news, clocks that run ahead. */
function disordered(live: readonly Payment[], seed: number): OutgoingRecord[] {
  const random = randomNumbers(seed);
  const topic = `${identity.project}.transactions`;
  const records: OutgoingRecord[] = [];
  for (const [at, payment] of live.entries()) {
    records.push(paymentRecord(identity.project, payment));
    const what = random();
    if (what < 0.02) records.push(paymentRecord(identity.project, payment));
    else if (what < 0.03)
      records.push(
        paymentRecord(identity.project, { ...payment, id: payment.id + 1_000_000, at: payment.at - 3_600_000 }),
      );
    else if (what < 0.035) records.push({ topic, key: '1', value: '{"id": 5, "at"' });
    else if (what < 0.04) records.push({ topic, key: '2', value: JSON.stringify({ ...payment, amount: 'NaN' }) });
    else if (what < 0.045)
      records.push({ topic, key: '3', value: JSON.stringify({ ...payment, at: Date.now() + 400 * 86_400_000 }) });
    // Within the allowed lateness: out of order, but in time.
    else if (what < 0.1 && at > 0)
      records.push(
        paymentRecord(identity.project, { ...payment, id: payment.id + 2_000_000, at: payment.at - 120_000 }),
      );
    if (at % 3 === 0) records.push(labelRecord(identity.project, { ...payment, at: payment.at - 7 * 86_400_000 }));
  }
  return records;
}

describe('the score topology', () => {
  test(
    'answers every record exactly once through kill -9, and serves what the interpreter says',
    { timeout: 240_000 },
    async () => {
      // History: builds the state, and is not answered.
      const history = payments(6_000, { seed: 1, everyMs: 60_000 });
      await producer.send([
        ...history.map((each) => paymentRecord(identity.project, each)),
        ...history.map((each) => labelRecord(identity.project, each)),
      ]);
      const initialise = new StreamWorker(configuration, ['--model', 'fraud', '--initialise', 'end']);
      expect(await initialise.end()).toMatchObject({ code: 0 });
      const liveFrom = new Map(
        (await kafka.log.offsets(`${identity.project}.transactions`)).map(({ partition, high }) => [partition, high]),
      );

      const start = (name: string, env = {}): StreamWorker =>
        new StreamWorker(configuration, ['--model', 'fraud', '--instance', name], env);
      let first = start('first');
      // Dies by itself with outputs sent and offsets not: the worst moment there is.
      let second = start('second', { TIDEMILL_FAIL_POINT: 'after-outputs:12' });

      const last = history.at(-1) as Payment;
      const live = payments(12_000, { seed: 2, firstId: 100_000, from: last.at, everyMs: 5_000 });
      const records = disordered(live, 3);
      const chunk = Math.ceil(records.length / 24);
      for (let at = 0; at < 24; at++) {
        await producer.send(records.slice(at * chunk, (at + 1) * chunk));
        await sleep(250);
        if (at === 8) {
          await first.kill();
          first = start('first');
        }
        if (at === 14) {
          if (second.isRunning) await second.kill();
          expect(await second.end()).toMatchObject({ signal: 'SIGKILL' });
          second = start('second', { TIDEMILL_FAIL_POINT: 'after-offsets:10' });
        }
        if (at === 20) {
          if (second.isRunning) await second.kill();
          second = start('second');
        }
      }
      while (!(await hasCaughtUp(kafka.log, groupId(identity), READ))) await sleep(200);
      expect(await first.stop()).toMatchObject({ code: 0 });
      expect(await second.stop()).toMatchObject({ code: 0 });

      const audit = await verifyServed(kafka.log, identity.project, fraud.compiled, liveFrom);
      expect(audit.findings).toEqual([]);
      const requests = records.filter(({ topic }) => topic.endsWith('.transactions')).length;
      expect(audit).toMatchObject({ records: requests, missing: 0, repeated: 0, maxDifference: 0 });
      expect(audit.predictions + audit.duplicates + audit.late + audit.deadLetters).toBe(requests);
      expect(audit.vectorsCompared).toBe(audit.predictions);
      for (const kind of ['predictions', 'duplicates', 'late', 'deadLetters'] as const)
        expect(audit[kind]).toBeGreaterThan(0);
    },
  );
});
