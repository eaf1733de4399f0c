import { describe, expect, test } from 'vitest';
import { mergedEvents } from '../../../examples/fraud/generator/events.js';
import {
  GENERATOR_START,
  generateFraud,
  type GeneratedTransaction,
} from '../../../examples/fraud/generator/generateFraud.js';

const small = { days: 40, customers: 500, terminals: 1_000 };

function all(options: Parameters<typeof generateFraud>[0]): GeneratedTransaction[] {
  return [...generateFraud(options)].flatMap(({ transactions }) => transactions);
}

describe('generated transactions', () => {
  test('are the same for the same seed, and others for another', () => {
    const options = { ...small, seed: 3, driftDay: 30 };
    expect(all(options)).toEqual(all(options));
    expect(all({ ...options, seed: 4 }).slice(0, 5)).not.toEqual(all(options).slice(0, 5));
  });

  test('come in the order of time, and their ids follow it', () => {
    const rows = all({ ...small, seed: 3, driftDay: 30 });
    for (const [at, row] of rows.entries()) {
      expect(row.id).toBe(at);
      if (at > 0) expect(row.at).toBeGreaterThanOrEqual((rows[at - 1] as GeneratedTransaction).at);
    }
  });

  test('are about 9,500 a day for 5,000 customers, less than one in fifty of them fraud', () => {
    const days = [...generateFraud({ seed: 1, days: 35, driftDay: null })].slice(28);
    for (const { transactions } of days) {
      expect(transactions.length).toBeGreaterThan(9_000);
      expect(transactions.length).toBeLessThan(10_200);
      const frauds = transactions.filter(({ fraud }) => fraud).length;
      expect(frauds / transactions.length).toBeGreaterThan(0.004);
      expect(frauds / transactions.length).toBeLessThan(0.02);
    }
  });

  test('show the new pattern from its day on: bursts of tiny payments', () => {
    const rows = all({ ...small, seed: 3, driftDay: 30 }).filter(({ scenario }) => scenario === 4);
    expect(Math.min(...rows.map(({ at }) => at))).toBeGreaterThanOrEqual(GENERATOR_START + 30 * 86_400_000);
    expect(rows.every(({ amount, fraud }) => fraud && amount < 300)).toBe(true);
    const perCard = new Map<string, number>();
    for (const { customer, at } of rows) {
      const key = `${customer}/${Math.floor(at / 86_400_000)}`;
      perCard.set(key, (perCard.get(key) ?? 0) + 1);
    }
    expect(Math.min(...perCard.values())).toBeGreaterThanOrEqual(2);
  });

  test('are labelled a week later, both merged by time', () => {
    const events = [...mergedEvents(generateFraud({ ...small, seed: 3, driftDay: null }))].flatMap((day) => day.events);
    const labels = events.filter(({ stream }) => stream === 'fraud-labels');
    const transactions = new Map(
      events
        .filter(({ stream }) => stream === 'transactions')
        .map((event) => [(JSON.parse(event.value) as { id: number }).id, event.at]),
    );
    for (const label of labels)
      expect(label.at).toBe((transactions.get((JSON.parse(label.value) as { id: number }).id) ?? 0) + 7 * 86_400_000);
    for (const [at, event] of events.entries())
      if (at > 0) expect(event.at).toBeGreaterThanOrEqual((events[at - 1] as { at: number }).at);
  });
});
