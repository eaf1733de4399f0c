import type { OutgoingRecord } from '../../stores/log/log.js';

/** Small, repeatable streams of card payments and labels for tests of the fraud project. */
export const START = Date.parse('2018-04-01T00:00:00Z');
const DAY = 86_400_000;

/** Park-Miller generator. */
export function randomNumbers(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

export interface Payment {
  readonly id: number;
  readonly at: number;
  readonly customer: number;
  readonly terminal: number;
  readonly amount: number;
}

export function payments(
  count: number,
  options: { seed: number; firstId?: number; from?: number; everyMs?: number },
): Payment[] {
  const random = randomNumbers(options.seed);
  const from = options.from ?? START;
  return Array.from({ length: count }, (_, at) => ({
    id: (options.firstId ?? 0) + at,
    at: from + at * (options.everyMs ?? 20_000),
    customer: Math.floor(random() * 200),
    terminal: Math.floor(random() * 300),
    amount: Math.round(random() * 30_000) / 100,
  }));
}

export function paymentRecord(project: string, payment: Payment): OutgoingRecord {
  return { topic: `${project}.transactions`, key: String(payment.customer), value: JSON.stringify(payment) };
}

/** The label of a payment, known seven days later. */
export function labelRecord(project: string, { id, at, customer, terminal, amount }: Payment): OutgoingRecord {
  const label = { id, at: at + 7 * DAY, customer, terminal, fraud: amount > 220 };
  return { topic: `${project}.fraud-labels`, key: String(terminal), value: JSON.stringify(label) };
}
