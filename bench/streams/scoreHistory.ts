import { setTimeout as sleep } from 'node:timers/promises';
import { loadHistory } from '../../examples/fraud/demo/loadHistory.js';
import { mergedEvents } from '../../examples/fraud/generator/events.js';
import type { GeneratedTransaction } from '../../examples/fraud/generator/generateFraud.js';
import { FraudWorkers, TOPICS } from './fraudWorkers.js';

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

/**
 * Cost of the fraud topology on a real broker. Payments and labels are in the log before a worker starts, which then takes
 * them as fast as it can.
 */
export async function scoreHistory(options: {
  readonly days: Iterable<{ readonly day: number; readonly transactions: readonly GeneratedTransaction[] }>;
  readonly workers: number;
  readonly profile: string | undefined;
  readonly say: (text: string) => void;
}): Promise<FraudScoring> {
  const { say } = options;
  const workers = await FraudWorkers.open();
  try {
    const producer = await workers.log.producer();
    await loadHistory(producer, TOPICS.project, mergedEvents(options.days), (day, records) => {
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
