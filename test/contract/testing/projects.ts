import { events, rawEvents, type Batch, type SeededRandom } from 'tidemill/testing';
import { labels, transactions } from '../../../examples/fraud/project.js';

const DAY = 86_400_000;
const START = Date.parse('2026-01-02T00:00:00Z');

/** Payments of a few customers and their labels: repeated, out of order, long out of date and broken now and then. */
export function messyPayments(count: number): (random: SeededRandom) => readonly Batch[] {
  return (random) =>
    Array.from({ length: count }, (_, id) => {
      const at = START + id * 600_000;
      const customer = random.below(10);
      const payment = { id, at, customer, terminal: random.below(10), amount: random.below(30_000) / 100 };
      const { amount, ...rest } = payment;
      const label = { ...rest, at: at + random.below(3) * DAY, fraud: amount > 220 };
      return [
        events(transactions, [payment]),
        ...(random.chance(0.1) ? [events(transactions, [payment])] : []),
        ...(random.chance(0.1) ? [events(transactions, [{ ...payment, id: id + 1_000, at: at - 300_000 }])] : []),
        ...(random.chance(0.1) ? [events(transactions, [{ ...payment, id: id + 2_000, at: at - DAY }])] : []),
        ...(random.chance(0.1) ? [rawEvents(transactions, String(customer), ['{'])] : []),
        events(labels, random.chance(0.1) ? [label, label] : [label]),
      ];
    }).flat();
}
