import { describe, expect, test } from 'vitest';
import {
  boundaryReach,
  differenceSequence,
  shareSequence,
  type ArmSums,
  type SequenceBounds,
} from '../../../../models/statistics/confidenceSequence.js';
import { seededRandom, type RandomNumbers } from '../../../../models/statistics/random.js';

const ALPHA = 0.05;

/**
 * Traffic of customers of very unequal activity (the busiest tenth makes two fifths of the requests). One in five is of a
 * kind that has all the events, so requests of a customer resemble each other: the intraclass correlation is about .2.
 */
const CUSTOMERS = 400;
const CUSTOMERS_OF_ARMS = 1_000;
const REQUESTS = 4_000;
const LOOK_EVERY = 50;
const PRONE = 0.2;

interface Sums {
  readonly events: Float64Array;
  readonly requests: Float64Array;
}

const emptySums = (entities: number): Sums => ({
  events: new Float64Array(entities),
  requests: new Float64Array(entities),
});

function drawTraffic(
  random: RandomNumbers,
  customers: number,
): { readonly next: () => number; readonly prone: readonly boolean[] } {
  const cumulated: number[] = [];
  const prone: boolean[] = [];
  let total = 0;
  for (let customer = 0; customer < customers; customer++) {
    total += Math.exp(1.1 * random.normal());
    cumulated.push(total);
    prone.push(random.next() < PRONE);
  }
  const next = (): number => {
    const place = random.next() * total;
    let low = 0;
    for (let high = customers - 1; low < high;) {
      const middle = (low + high) >> 1;
      if ((cumulated[middle] as number) > place) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return { next, prone };
}

function add(sums: Sums, entity: number, event: boolean): void {
  sums.requests[entity] = (sums.requests[entity] as number) + 1;
  if (event) sums.events[entity] = (sums.events[entity] as number) + 1;
}

/** What a run of looks ever concluded about a bound that the truth lies exactly on: both are wrong. */
interface Concluded {
  passed: boolean;
  failed: boolean;
}

function conclude(concluded: Concluded, { low, high }: SequenceBounds, margin: number): void {
  if (high !== null && high < margin) concluded.passed = true;
  if (low !== null && low > margin) concluded.failed = true;
}

/** Shares of runs that ever passed and ever failed. */
function ratesOf(runs: readonly Concluded[]): { passed: number; failed: number } {
  const share = (holds: (run: Concluded) => boolean): number => runs.filter(holds).length / runs.length;
  return { passed: share((run) => run.passed), failed: share((run) => run.failed) };
}

/** The same requests, each taken for an entity of its own. */
class RowWise {
  private readonly events: number[] = [];
  add(event: boolean): void {
    this.events.push(event ? 1 : 0);
  }
  get sums(): ArmSums {
    return { events: this.events, requests: new Float64Array(this.events.length).fill(1) };
  }
}

describe('at the margin, over eighty looks at customers of unequal activity', () => {
  test('a share is concluded to be off it in at most one of twenty runs, up or down; row by row it is far more often', () => {
    const margin = 0.05;
    const clustered: Concluded[] = [];
    const rowWise: Concluded[] = [];
    for (let run = 0; run < 300; run++) {
      const random = seededRandom(`share ${run}`);
      const { next, prone } = drawTraffic(random, CUSTOMERS);
      const sums = emptySums(CUSTOMERS);
      const rows = new RowWise();
      const [byCustomer, byRow] = [
        { passed: false, failed: false },
        { passed: false, failed: false },
      ];
      for (let request = 1; request <= REQUESTS; request++) {
        const customer = next();
        const event = prone[customer] === true && random.next() < margin / PRONE;
        add(sums, customer, event);
        rows.add(event);
        if (request % LOOK_EVERY !== 0) continue;
        const options = { alpha: ALPHA, tunedFor: 1_000, margin };
        conclude(byCustomer, shareSequence(sums, options), margin);
        conclude(byRow, shareSequence(rows.sums, options), margin);
      }
      clustered.push(byCustomer);
      rowWise.push(byRow);
    }
    const rates = ratesOf(clustered);
    expect(rates.passed).toBeLessThanOrEqual(ALPHA);
    expect(rates.failed).toBeLessThanOrEqual(ALPHA);
    const naive = ratesOf(rowWise);
    expect(naive.passed + naive.failed).toBeGreaterThan(4 * ALPHA);
  });

  test.for([
    ['independent arms of three and seventeen twentieths', false],
    ['two versions on the same requests', true],
  ] as const)('a difference, %s', ([, isPaired]) => {
    const margin = 0.02;
    const runs: Concluded[] = [];
    for (let run = 0; run < 300; run++) {
      const random = seededRandom(`difference ${isPaired} ${run}`);
      const { next, prone } = drawTraffic(random, CUSTOMERS_OF_ARMS);
      const inA = Array.from({ length: CUSTOMERS_OF_ARMS }, () => random.next() < 0.15);
      const [a, b] = [emptySums(CUSTOMERS_OF_ARMS), emptySums(CUSTOMERS_OF_ARMS)];
      const concluded = { passed: false, failed: false };
      for (let request = 1; request <= REQUESTS; request++) {
        const customer = next();
        const draw = random.next();
        const share = prone[customer] === true ? 0.05 / PRONE : 0;
        const more = prone[customer] === true ? margin / PRONE : 0;
        if (isPaired || inA[customer] === true) add(a, customer, draw < share + more);
        if (isPaired || inA[customer] !== true) add(b, customer, draw < share);
        if (request % LOOK_EVERY !== 0) continue;
        conclude(concluded, differenceSequence(a, b, { alpha: ALPHA, tunedFor: 1_000, margin }), margin);
      }
      runs.push(concluded);
    }
    const rates = ratesOf(runs);
    expect(rates.passed).toBeLessThanOrEqual(ALPHA);
    expect(rates.failed).toBeLessThanOrEqual(ALPHA);
  });

  test('an event too rare to be seen early does not pass for want of it', () => {
    const margin = 0.002;
    const passed = { floored: 0, seenOnly: 0 };
    for (let run = 0; run < 200; run++) {
      const random = seededRandom(`rare ${run}`);
      const { next } = drawTraffic(random, CUSTOMERS);
      const sums = emptySums(CUSTOMERS);
      const [floored, seenOnly] = [
        { passed: false, failed: false },
        { passed: false, failed: false },
      ];
      for (let request = 1; request <= REQUESTS; request++) {
        add(sums, next(), random.next() < margin);
        if (request % LOOK_EVERY !== 0) continue;
        conclude(floored, shareSequence(sums, { alpha: ALPHA, tunedFor: 1_000, margin }), margin);
        conclude(seenOnly, shareSequence(sums, { alpha: ALPHA, tunedFor: 1_000 }), margin);
      }
      if (floored.passed) passed.floored++;
      if (seenOnly.passed) passed.seenOnly++;
    }
    expect(passed.floored / 200).toBeLessThanOrEqual(ALPHA);
    // The spread of what is seen is none at all as long as nothing is.
    expect(passed.seenOnly / 200).toBeGreaterThan(0.5);
  });
});

test.for([
  ['a fifth of the margin passes', 0.01, 'high'],
  ['four times the margin fails', 0.2, 'low'],
] as const)('%s in nine of ten runs', ([, share, bound]) => {
  const margin = 0.05;
  let concluded = 0;
  for (let run = 0; run < 50; run++) {
    const random = seededRandom(`power ${share} ${run}`);
    const { next, prone } = drawTraffic(random, CUSTOMERS);
    const sums = emptySums(CUSTOMERS);
    for (let request = 0; request < REQUESTS; request++) {
      const customer = next();
      add(sums, customer, prone[customer] === true && random.next() < share / PRONE);
    }
    const value = shareSequence(sums, { alpha: ALPHA, tunedFor: 1_000, margin })[bound] as number;
    if (bound === 'high' ? value < margin : value > margin) concluded++;
  }
  expect(concluded / 50).toBeGreaterThanOrEqual(0.9);
});

test('a Brownian motion crosses the boundary in at most one of twenty paths, and in not far fewer', () => {
  const paths = 1_500;
  const steps = 1_000;
  const growth = Math.log(10_000) / steps;
  let crossed = 0;
  for (let path = 0; path < paths; path++) {
    const random = seededRandom(`path ${path}`);
    let t = 1;
    let level = random.normal();
    for (let step = 0; step < steps; step++) {
      const later = t * Math.exp(growth);
      level += Math.sqrt(later - t) * random.normal();
      t = later;
      if (level > boundaryReach(t, ALPHA, 100) * Math.sqrt(t)) {
        crossed++;
        break;
      }
    }
  }
  expect(crossed / paths).toBeLessThanOrEqual(ALPHA);
  expect(crossed / paths).toBeGreaterThan(ALPHA / 3);
});
