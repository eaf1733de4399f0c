import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { jsonOf } from '../../activities/audit/readTopic.js';
import type { PredictionRecord } from '../../contracts/records.js';
import { seededRandom } from '../../models/statistics/random.js';
import { FraudWorkers, TOPICS } from './fraudWorkers.js';

/**
 * Time from the sending of a payment to its prediction at a reader of committed records, at an even rate over one hop. Event
 * time is the clock's, so that each prediction says itself when its payment was sent.
 *
 *   node scripts/run.mjs dist/bench/streams/fraudLatency.js [--rate 5000] [--seconds 30] [--workers 1]
 *     [--processing at-least-once] [--profile FOLDER] [--json]
 */
const SLICE_MS = 10;
const WARM_UP_SECONDS = 10;
const CUSTOMERS = 5_000;
const TERMINALS = 10_000;

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '30' },
    workers: { type: 'string', default: '1' },
    profile: { type: 'string' },
    processing: { type: 'string', default: 'exactly-once' },
    json: { type: 'boolean', default: false },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const workers = await FraudWorkers.open();
const stopped = new AbortController();
const reading: Promise<void>[] = [];
try {
  await workers.initialise('end');
  await workers.start(Number(values.workers), values.profile, ['--processing', values.processing]);
  while ((await workers.log.partitionCount(TOPICS.predictions)) === null) {
    workers.requireRunning();
    await sleep(50);
  }
  let measuredFrom = Number.POSITIVE_INFINITY;
  const waits: number[] = [];
  for (const { partition, high } of await workers.log.offsets(TOPICS.predictions)) {
    const read = async (): Promise<void> => {
      const range = { topic: TOPICS.predictions, partition, from: high, to: null, signal: stopped.signal };
      for await (const batch of workers.log.read(range)) {
        const now = Date.now();
        for (const record of batch) {
          const { at } = jsonOf<PredictionRecord>(record);
          if (at >= measuredFrom) waits.push(now - at);
        }
      }
    };
    reading.push(read());
  }
  const producer = await workers.log.producer();
  const random = seededRandom(1);
  let sent = 0;
  const sendFor = async (duration: number): Promise<void> => {
    const started = performance.now();
    let count = 0;
    for (let elapsed = 0; elapsed < duration * 1_000; elapsed = performance.now() - started) {
      const due = Math.floor((elapsed / 1_000) * rate) - count;
      const payments = Array.from({ length: due }, () => {
        const customer = random.below(CUSTOMERS);
        const amount = random.below(20_000) / 100;
        const payment = { id: sent++, at: Date.now(), customer, terminal: random.below(TERMINALS), amount };
        return { topic: TOPICS.payments, key: String(customer), value: JSON.stringify(payment) };
      });
      count += due;
      if (due > 0) await producer.send(payments);
      await sleep(SLICE_MS);
    }
  };
  await sendFor(WARM_UP_SECONDS);
  measuredFrom = Date.now();
  const cpu = await workers.cpuSeconds();
  const before = sent;
  await sendFor(seconds);
  const cpuSeconds = (await workers.cpuSeconds()) - cpu;
  while (!(await workers.isDone())) await sleep(100);
  await sleep(1_000);
  waits.sort((a, b) => a - b);
  const share = (wanted: number): number => waits[Math.min(waits.length - 1, Math.floor(waits.length * wanted))] ?? 0;
  const found = {
    payments: sent - before,
    measured: waits.length,
    p50: share(0.5),
    p90: share(0.9),
    p99: share(0.99),
    greatest: share(1),
    paymentsPerCpuSecond: Math.round((sent - before) / cpuSeconds),
  };
  await producer.close();
  if (values.json) console.log(JSON.stringify(found));
  else console.table(found);
} finally {
  stopped.abort();
  await Promise.allSettled(reading);
  await workers.close();
}
