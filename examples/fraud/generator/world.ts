import { seededRandom, type RandomNumbers } from '../../../models/statistics/random.js';

/** Customers and terminals on a square of 100 by 100, as the Fraud Detection Handbook's simulator places them. */
export interface Customer {
  readonly meanAmount: number;
  readonly deviationAmount: number;
  readonly transactionsPerDay: number;
  /** Terminals within reach. */
  readonly terminals: readonly number[];
}

export interface World {
  readonly customers: readonly Customer[];
  readonly terminalCount: number;
}

const SIDE = 100;
/** A customer pays at terminals at most this far away. */
const RADIUS = 5;

export function createWorld(seed: number, customerCount: number, terminalCount: number): World {
  const random = seededRandom(seed);
  const terminals = Array.from({ length: terminalCount }, () => [random.next() * SIDE, random.next() * SIDE] as const);
  const customers = Array.from({ length: customerCount }, (): Customer => {
    const [x, y] = [random.next() * SIDE, random.next() * SIDE];
    const meanAmount = 5 + random.next() * 95;
    const transactionsPerDay = random.next() * 4;
    const near: number[] = [];
    for (const [terminal, [tx, ty]] of terminals.entries()) {
      if ((tx - x) ** 2 + (ty - y) ** 2 < RADIUS ** 2) near.push(terminal);
    }
    return { meanAmount, deviationAmount: meanAmount / 2, transactionsPerDay, terminals: near };
  });
  return { customers, terminalCount };
}

/** Normal deviate by Box and Muller. */
export function normal(random: RandomNumbers, mean: number, deviation: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
  return mean + deviation * radius * Math.cos(2 * Math.PI * random.next());
}

/** Poisson deviate by Knuth's product of uniforms; for small means. */
export function poisson(random: RandomNumbers, mean: number): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count++;
  return count;
}
