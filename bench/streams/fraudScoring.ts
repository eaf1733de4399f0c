import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { loadHistory } from '../../examples/fraud/demo/loadHistory.js';
import { mergedEvents } from '../../examples/fraud/generator/events.js';
import { generateFraud } from '../../examples/fraud/generator/generateFraud.js';
import { FraudWorkers, TOPICS } from './fraudWorkers.js';

/**
 * Cost of the fraud topology on a real broker: 15 features over two hops, 100 full trees, predictions written, exactly-once.
 * Payments and labels are in the log before a worker starts, which then takes them as fast as it can.
 *
 *   node scripts/run.mjs dist/bench/streams/fraudScoring.js [--days 40] [--workers 1] [--profile FOLDER] [--json]
 */
export interface FraudScoring {
  readonly payments: number;
  readonly labels: number;
  readonly seconds: number;
  /** Of all score workers; the start of the process is left out. */
  readonly cpuSeconds: number;
  readonly paymentsPerSecond: number;
  readonly paymentsPerCpuSecond: number;
  /** Payments and labels: all that the workers read. */
  readonly eventsPerCpuSecond: number;
  readonly memoryMb: number;
}

async function measure(options: {
  readonly days: number;
  readonly workers: number;
  readonly profile: string | undefined;
  readonly say: (text: string) => void;
}): Promise<FraudScoring> {
  const { days, say } = options;
  const workers = await FraudWorkers.open();
  try {
    const producer = await workers.log.producer();
    const events = mergedEvents(generateFraud({ seed: 1, days, driftDay: null }));
    await loadHistory(producer, TOPICS.project, events, (day, records) => {
      if (day % 10 === 9) say(`day ${day + 1}: ${records} records in the log`);
    });
    await producer.close();
    await workers.initialise('start');
    const payments = await workers.endOf(TOPICS.payments);
    const labels = await workers.endOf(TOPICS.labels);

    say(`${payments} payments, ${labels} labels`);
    await workers.start(options.workers, options.profile);
    while ((await workers.endOf(TOPICS.predictions)) === 0) {
      workers.requireRunning();
      await sleep(20);
    }
    const started = performance.now();
    const startCpu = await workers.cpuSeconds();
    const left = await workers.lag([TOPICS.payments]);
    while (!(await workers.isDone())) {
      workers.requireRunning();
      await sleep(50);
    }
    const seconds = (performance.now() - started) / 1_000;
    const cpuSeconds = (await workers.cpuSeconds()) - startCpu;
    return {
      payments,
      labels,
      seconds: round(seconds),
      cpuSeconds: round(cpuSeconds),
      paymentsPerSecond: Math.round(left / seconds),
      paymentsPerCpuSecond: Math.round(left / cpuSeconds),
      eventsPerCpuSecond: Math.round((left * (1 + labels / payments)) / cpuSeconds),
      memoryMb: await workers.peakMb(),
    };
  } finally {
    await workers.close();
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const { values } = parseArgs({
  options: {
    days: { type: 'string', default: '40' },
    workers: { type: 'string', default: '1' },
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const found = await measure({
  days: Number(values.days),
  workers: Number(values.workers),
  profile: values.profile,
  say: (text) => process.stderr.write(`${text}\n`),
});
if (values.json) console.log(JSON.stringify(found));
else console.table(found);
