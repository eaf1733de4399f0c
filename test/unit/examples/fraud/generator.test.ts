import { describe, expect, test } from 'vitest';
import { DAY_MS } from '../../../../contracts/duration.js';
import { mergedEvents } from '../../../../examples/fraud/generator/events.js';
import {
  GENERATOR_START,
  generateFraud,
  type GeneratedTransaction,
  type GeneratorOptions,
} from '../../../../examples/fraud/generator/generateFraud.js';

const small = { seed: 3, days: 12, driftDay: 8, customers: 400, terminals: 800 } as const;

function collect(options: GeneratorOptions): { day: number; transactions: GeneratedTransaction[] }[] {
  return [...generateFraud(options)];
}
function count(transactions: readonly GeneratedTransaction[], scenario: number): number {
  return transactions.filter((each) => each.scenario === scenario).length;
}

describe('generated transactions', () => {
  test('are the same for equal seeds and others for other seeds', () => {
    expect(collect(small)).toEqual(collect(small));
    expect(collect({ ...small, seed: 4 })).not.toEqual(collect(small));
  });

  test('of later days are the same with and without the earlier ones, ids included', () => {
    expect(collect({ ...small, from: 5 })).toEqual(collect(small).slice(5));
    expect(collect({ ...small, days: 6 })).toEqual(collect(small).slice(0, 6));
  });

  test('are ordered by time, lie within their day, and have ids that ascend without gaps', () => {
    let id = 0;
    for (const { day, transactions } of collect(small)) {
      let last = GENERATOR_START + day * DAY_MS;
      for (const transaction of transactions) {
        expect(transaction.id).toBe(id++);
        expect(transaction.at).toBeGreaterThanOrEqual(last);
        expect(transaction.at).toBeLessThan(GENERATOR_START + (day + 1) * DAY_MS);
        expect(Number.isSafeInteger(transaction.amount) && transaction.amount >= 0).toBe(true);
        expect(transaction.fraud).toBe(transaction.scenario > 0);
        last = transaction.at;
      }
    }
    expect(id).toBeGreaterThan(0);
  });

  test('of the size of the handbook come as often, and are fraud as rarely, as its own', () => {
    const days = collect({ seed: 11, days: 60, driftDay: null });
    const perDay = days.map(({ transactions }) => transactions.length);
    const mean = perDay.reduce((sum, each) => sum + each, 0) / perDay.length;
    expect(mean).toBeGreaterThan(9_200);
    expect(mean).toBeLessThan(9_900);
    for (const each of perDay) expect(Math.abs(each - mean) / mean).toBeLessThan(0.06);
    // From day 28 on there are as many compromised terminals as there will ever be.
    const settled = days.slice(28).flatMap(({ transactions }) => transactions);
    const share = settled.filter(({ fraud }) => fraud).length / settled.length;
    expect(share).toBeGreaterThan(0.006);
    expect(share).toBeLessThan(0.011);
    for (const scenario of [1, 2, 3]) expect(count(settled, scenario), `scenario ${scenario}`).toBeGreaterThan(0);
    expect(count(settled, 4)).toBe(0);
    const overLimit = settled.filter(({ amount, fraud }) => amount > 22_000 && !fraud);
    expect(overLimit).toEqual([]);
    // Payments are spread around noon by 20,000 seconds, cut at midnight: between both, half lie within 12,400 of noon.
    const nearNoon = settled.filter(({ at }) => Math.abs((at % DAY_MS) / 1_000 - 43_200) < 12_400).length;
    expect(nearNoon / settled.length).toBeGreaterThan(0.46);
    expect(nearNoon / settled.length).toBeLessThan(0.54);
  });

  test('keep compromised terminals for 28 days, all of whose payments are fraud', () => {
    const days = collect({ seed: 11, days: 60, driftDay: null });
    const dayOf = ({ at }: GeneratedTransaction): number => Math.floor((at - GENERATOR_START) / DAY_MS);
    const byTerminal = new Map<number, GeneratedTransaction[]>();
    for (const each of days.flatMap(({ transactions }) => transactions)) {
      const known = byTerminal.get(each.terminal);
      if (known === undefined) byTerminal.set(each.terminal, [each]);
      else known.push(each);
    }
    let honest = 0;
    let spans = 0;
    for (const payments of byTerminal.values()) {
      const compromised = payments.filter(({ scenario }) => scenario === 2).map(dayOf);
      const [first, last] = [compromised[0], compromised.at(-1)];
      // One that was compromised twice is open for longer.
      if (first === undefined || last === undefined || last - first > 27) continue;
      spans++;
      // A compromised customer's payment there counts as that customer's fraud.
      honest += payments.filter((each) => dayOf(each) >= first && dayOf(each) <= last && !each.fraud).length;
    }
    expect(spans).toBeGreaterThan(50);
    expect(honest).toBe(0);
  });
});

describe('the new pattern', () => {
  test('starts on its day, with 80 to 160 payments a day that are tiny and come in bursts', () => {
    const without = collect({ seed: 5, days: 20, driftDay: null });
    const days = collect({ seed: 5, days: 20, driftDay: 12 });
    for (const { day, transactions } of days) {
      const tests = transactions.filter(({ scenario }) => scenario === 4);
      if (day < 12) {
        expect(tests).toEqual([]);
        expect(transactions).toEqual(without[day]?.transactions);
        continue;
      }
      expect(tests.length).toBeGreaterThanOrEqual(80);
      expect(tests.length).toBeLessThanOrEqual(160);
      const bursts = new Map<number, GeneratedTransaction[]>();
      for (const each of tests) {
        expect(each.amount).toBeGreaterThanOrEqual(50);
        expect(each.amount).toBeLessThanOrEqual(300);
        bursts.set(each.customer, [...(bursts.get(each.customer) ?? []), each]);
      }
      for (const burst of bursts.values()) expect(burst.length).toBeGreaterThanOrEqual(5);
      // What is not of the pattern is what it would have been without it.
      const rest = transactions
        .filter(({ scenario }) => scenario !== 4)
        .map(({ at, amount, customer }) => ({ at, amount, customer }));
      expect(rest).toEqual(without[day]?.transactions.map(({ at, amount, customer }) => ({ at, amount, customer })));
    }
  });
});

describe('events', () => {
  test('have one label per transaction, seven days later, merged by time', () => {
    const days = collect(small);
    const events = [...mergedEvents(days)].flatMap((each) => each.events);
    for (let at = 1; at < events.length; at++) {
      expect(events[at]?.at).toBeGreaterThanOrEqual(events[at - 1]?.at as number);
    }
    const transactions = days.flatMap((each) => each.transactions);
    const labels = events.filter(({ stream }) => stream === 'fraud-labels');
    // Labels that become known after the last day are left out.
    const known = transactions.filter(({ at }) => at + 7 * DAY_MS < GENERATOR_START + small.days * DAY_MS);
    expect(known.length).toBeGreaterThan(0);
    expect(labels.map(({ key, value }) => ({ key, value: JSON.parse(value) as unknown }))).toEqual(
      known.map(({ id, at, customer, terminal, fraud }) => ({
        key: String(terminal),
        value: { id, at: at + 7 * DAY_MS, customer, terminal, fraud },
      })),
    );
    expect(
      events
        .filter(({ stream }) => stream === 'transactions')
        .map(({ key, value }) => ({ key, value: JSON.parse(value) as unknown })),
    ).toEqual(
      transactions.map(({ id, at, customer, terminal, amount }) => ({
        key: String(customer),
        value: { id, at, customer, terminal, amount: amount / 100 },
      })),
    );
  });
});
