import { DAY_MS } from '../../../contracts/duration.js';
import { seededRandom } from '../../../models/statistics/random.js';
import { createWorld, normal, poisson, type Customer } from './world.js';

/** First moment of the generated data. */
export const GENERATOR_START = Date.parse('2018-04-01T00:00:00Z');

export interface GeneratedTransaction {
  readonly id: number;
  /** Event time, ms UTC. */
  readonly at: number;
  readonly customer: number;
  readonly terminal: number;
  /** Hundredths. */
  readonly amount: number;
  readonly fraud: boolean;
  /** 0: none; 1: amount over 220; 2: compromised terminal; 3: compromised customer; 4: card testing. */
  readonly scenario: number;
}

export interface GeneratorOptions {
  readonly seed: number;
  /** Number of days from GENERATOR_START on. */
  readonly days: number;
  /** First day that is given out; its ids are the same as without it. @default 0 */
  readonly from?: number;
  /** Day from which the new pattern occurs; null for never. */
  readonly driftDay: number | null;
  /** @default 5000 */
  readonly customers?: number;
  /** @default 10000 */
  readonly terminals?: number;
}

const COMPROMISED_TERMINALS_PER_DAY = 2;
const TERMINAL_DAYS = 28;
const COMPROMISED_CUSTOMERS_PER_DAY = 3;
const CUSTOMER_DAYS = 14;
/** Of 5,000 customers, and in proportion to others. */
const TESTED_CARDS_PER_DAY = 16;

interface Draft {
  second: number;
  customer: number;
  terminal: number;
  amount: number;
  scenario: number;
}

/**
 * Card transactions day by day: the simulator of the Fraud Detection Handbook from its definition, and a pattern that it
 * does not have. Equal seeds give equal data.
 *
 * - Customers have a place, a mean amount in 5..100 and a mean number of payments a day in 0..4; they pay at terminals
 *   near them, around noon.
 * - Fraud 1: any amount over 220. Fraud 2: every day two terminals are compromised for 28 days, all their payments are
 *   fraud. Fraud 3: every day three customers are compromised for 14 days; a third of their payments is five times as high.
 * - The new pattern, from `driftDay` on, is card testing: stolen cards make bursts of tiny payments at terminals anywhere
 *   within half an hour. A tiny amount alone looks harmless; many of them in a day do not.
 */
export function* generateFraud(
  options: GeneratorOptions,
): Generator<{ day: number; transactions: GeneratedTransaction[] }> {
  const { seed, days, driftDay } = options;
  const world = createWorld(seed, options.customers ?? 5_000, options.terminals ?? 10_000);
  const testedCards = Math.round((TESTED_CARDS_PER_DAY * world.customers.length) / 5_000);
  let nextId = 0;
  for (let day = 0; day < days; day++) {
    const random = seededRandom(seed * 1_000_003 + day);
    const drafts: Draft[] = [];
    for (const [number, customer] of world.customers.entries()) {
      if (customer.terminals.length === 0) continue;
      for (let left = poisson(random, customer.transactionsPerDay); left > 0; left--) {
        const second = Math.floor(normal(random, 43_200, 20_000));
        if (second <= 0 || second >= 86_400) continue;
        const terminal = customer.terminals[random.below(customer.terminals.length)] as number;
        drafts.push({ second, customer: number, terminal, amount: amountOf(customer, random), scenario: 0 });
      }
    }
    const compromised = compromisedOn(day, seed, world.customers.length, world.terminalCount);
    for (const draft of drafts) {
      if (draft.amount > 22_000) draft.scenario = 1;
      if (compromised.terminals.has(draft.terminal)) draft.scenario = 2;
      if (compromised.customers.has(draft.customer) && random.next() < 1 / 3) {
        draft.amount *= 5;
        draft.scenario = 3;
      }
    }
    if (driftDay !== null && day >= driftDay) {
      for (let card = 0; card < testedCards; card++) {
        const customer = random.below(world.customers.length);
        const start = 3_600 + random.below(79_000);
        for (let left = 5 + random.below(6); left > 0; left--) {
          drafts.push({
            second: start + random.below(1_800),
            customer,
            terminal: random.below(world.terminalCount),
            amount: 50 + random.below(250),
            scenario: 4,
          });
        }
      }
    }
    drafts.sort((a, b) => a.second - b.second || a.customer - b.customer);
    const transactions = drafts.map(({ second, customer, terminal, amount, scenario }): GeneratedTransaction => {
      const at = GENERATOR_START + day * DAY_MS + second * 1_000;
      return { id: nextId++, at, customer, terminal, amount, fraud: scenario > 0, scenario };
    });
    if (day >= (options.from ?? 0)) yield { day, transactions };
  }
}

function amountOf({ meanAmount, deviationAmount }: Customer, random: ReturnType<typeof seededRandom>): number {
  const drawn = normal(random, meanAmount, deviationAmount);
  return Math.round((drawn < 0 ? random.next() * 2 * meanAmount : drawn) * 100);
}

/** Who was compromised within reach of a day. */
function compromisedOn(
  day: number,
  seed: number,
  customers: number,
  terminals: number,
): { customers: Set<number>; terminals: Set<number> } {
  const found = { customers: new Set<number>(), terminals: new Set<number>() };
  for (let since = Math.max(0, day - TERMINAL_DAYS + 1); since <= day; since++) {
    const random = seededRandom(seed * 7_919 + since * 31 + 17);
    for (let at = 0; at < COMPROMISED_TERMINALS_PER_DAY; at++) found.terminals.add(random.below(terminals));
    for (let at = 0; at < COMPROMISED_CUSTOMERS_PER_DAY; at++) {
      const customer = random.below(customers);
      if (since > day - CUSTOMER_DAYS) found.customers.add(customer);
    }
  }
  return found;
}
