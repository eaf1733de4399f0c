import { LABEL_DELAY_MS } from '../handbook.js';
import type { GeneratedTransaction } from './generateFraud.js';

/** One record to send: an event of one of the project's streams. */
export interface GeneratedEvent {
  readonly stream: 'transactions' | 'fraud-labels';
  /** Event time, ms UTC. */
  readonly at: number;
  readonly key: string;
  readonly value: string;
}

export function transactionEvent({ id, at, customer, terminal, amount }: GeneratedTransaction): GeneratedEvent {
  const value = JSON.stringify({ id, at, customer, terminal, amount: amount / 100 });
  return { stream: 'transactions', at, key: String(customer), value };
}

/** The label of a transaction is an event of its own, a week later. */
export function labelEvent({ id, at, customer, terminal, fraud }: GeneratedTransaction): GeneratedEvent {
  const known = at + LABEL_DELAY_MS;
  return {
    stream: 'fraud-labels',
    at: known,
    key: String(terminal),
    value: JSON.stringify({ id, at: known, customer, terminal, fraud }),
  };
}

/** Transactions and the labels that become known, merged by time, a day at a time. Labels after the last day are left out. */
export function* mergedEvents(
  days: Iterable<{ readonly day: number; readonly transactions: readonly GeneratedTransaction[] }>,
): Generator<{ day: number; events: GeneratedEvent[] }> {
  const delayDays = LABEL_DELAY_MS / 86_400_000;
  const waiting: (readonly GeneratedTransaction[])[] = [];
  for (const { day, transactions } of days) {
    waiting.push(transactions);
    const labelled = waiting.length > delayDays ? (waiting.shift() ?? []) : [];
    const events = [...transactions.map(transactionEvent), ...labelled.map(labelEvent)].sort((a, b) => a.at - b.at);
    yield { day, events };
  }
}
