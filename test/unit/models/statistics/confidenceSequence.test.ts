import { describe, expect, test } from 'vitest';
import {
  boundaryReach,
  differenceSequence,
  leastRequests,
  groupSequence,
  widest,
  shareSequence,
  type ArmSums,
  type SequenceBounds,
} from '../../../../models/statistics/confidenceSequence.js';
import { normalUpper } from '../../../../models/statistics/normal.js';
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

test('the boundary is the level at which the mixture martingale reaches 1 / alpha', () => {
  for (const alpha of [0.01, 0.05, 0.2]) {
    for (const t of [10, 100, 1_000, 100_000]) {
      const z = boundaryReach(t, alpha, 100);
      // The scale of the mixture, from the slope of the reach: it is t times a constant.
      const x = (t / 100) * (-2 * Math.log(2 * alpha) + Math.log(-2 * Math.log(2 * alpha)) + 1);
      const u = z * Math.sqrt(x / (1 + x));
      const martingale = (2 / Math.sqrt(1 + x)) * Math.exp((u * u) / 2) * (1 - normalUpper(u));
      expect(martingale * alpha).toBeGreaterThanOrEqual(1);
      expect(martingale * alpha).toBeLessThan(1.12);
    }
  }
});

test('bounds are tightest about where they are tuned for', () => {
  for (const tunedFor of [100, 10_000]) {
    const at = (factor: number): number => boundaryReach(tunedFor, 0.0125, tunedFor * factor);
    expect(at(1)).toBeLessThan(at(0.3));
    expect(at(1)).toBeLessThan(at(3));
    // Ten times off costs a few hundredths.
    expect(at(0.1) / at(1)).toBeLessThan(1.1);
  }
});

describe('the linearised error', () => {
  const equal = (events: readonly number[], requests: readonly number[]): ArmSums => ({ events, requests });
  const options = { alpha: ALPHA, tunedFor: 100 };

  test('of one request an entity is that of a binomial share', () => {
    const events = Array.from({ length: 100 }, (_, at) => (at < 20 ? 1 : 0));
    const { estimate, error } = shareSequence(equal(events, Array<number>(100).fill(1)), options);
    expect(estimate).toBe(0.2);
    expect(error).toBeCloseTo(Math.sqrt((0.2 * 0.8) / 99), 12);
  });

  test('of rows that stand for themselves is that of as many entities', () => {
    for (const [events, margin] of [
      [0, 0.1],
      [3, 0.1],
      [40, 0.1],
      [3, 0],
    ] as const) {
      const each = Array.from({ length: 100 }, (_, at) => (at < events ? 1 : 0));
      const bounds = shareSequence(equal(each, Array<number>(100).fill(1)), { ...options, margin });
      const squares = { squaresWith: events, squaresWithout: 100 - events };
      const rows = groupSequence({ groups: 100, requests: 100, events, ...squares }, { ...options, margin });
      expect(rows.low).toBeCloseTo(bounds.low as number, 12);
      expect(rows.high).toBeCloseTo(bounds.high as number, 12);
    }
  });

  test('of independent arms adds their variances; of a pair that always agrees it is none', () => {
    const first = [...Array<number>(50).fill(4), ...Array<number>(50).fill(0)];
    const second = [...Array<number>(50).fill(0), ...Array<number>(50).fill(2)];
    const events = Array.from({ length: 100 }, (_, at) => at % 2);
    const only = (requests: readonly number[]): ArmSums =>
      equal(
        events.map((each, at) => (requests[at] === 0 ? 0 : each)),
        requests,
      );
    const bessel = (count: number): number => count / (count - 1);
    const squared = (bounds: SequenceBounds): number => bounds.error ** 2 / bessel(bounds.entities);
    expect(squared(differenceSequence(only(first), only(second), options))).toBeCloseTo(
      squared(shareSequence(only(first), options)) + squared(shareSequence(only(second), options)),
      15,
    );
    expect(differenceSequence(only(first), only(first), options)).toMatchObject({ estimate: 0, error: 0 });
  });

  test('of groups that share their fate is that of entities with all or nothing', () => {
    const sizes = Array.from({ length: 120 }, (_, at) => 1 + (at % 5));
    const events = sizes.map((size, at) => (at % 4 === 0 ? size : 0));
    const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
    const squaresWith = total(events.map((each) => each ** 2));
    const squares = { squaresWith, squaresWithout: total(sizes.map((size) => size ** 2)) - squaresWith };
    const sums = { groups: 120, requests: total(sizes), events: total(events), ...squares };
    for (const margin of [0, 0.1, 0.6]) {
      const byGroup = groupSequence(sums, { ...options, margin });
      const byEntity = shareSequence(equal(events, sizes), { ...options, margin });
      expect(byGroup.low).toBeCloseTo(byEntity.low as number, 12);
      expect(byGroup.high).toBeCloseTo(byEntity.high as number, 12);
      expect(byGroup.effectiveEntities).toBeCloseTo(byEntity.effectiveEntities, 9);
      const wider = groupSequence({ ...sums, squaresWith: 4 * squaresWith }, { ...options, margin });
      expect(widest(byEntity, wider)).toEqual(wider);
      expect(widest(wider, { ...byEntity, low: null })).toMatchObject({ low: null, high: wider.high });
    }
  });

  test('counts for less the fewer the entities are', () => {
    const reach = (entities: number): number => {
      const events = Array.from({ length: entities }, (_, at) => at % 2);
      const { high, estimate, error } = shareSequence(equal(events, Array<number>(entities).fill(1)), options);
      return ((high as number) - estimate) / error / boundaryReach(entities, options.alpha, options.tunedFor);
    };
    expect(reach(30)).toBeGreaterThan(1.05);
    expect(reach(10_000)).toBeLessThan(1.001);
    expect(reach(10_000)).toBeGreaterThan(1);
  });

  test('says how many entities it rests on, and bounds nothing on too few', () => {
    const one = (entities: number): SequenceBounds =>
      shareSequence(equal(Array<number>(entities).fill(0.5), Array<number>(entities).fill(1)), options);
    expect(one(29)).toMatchObject({ entities: 29, estimate: 0.5, low: null, high: null });
    expect(one(30)).toMatchObject({ entities: 30, effectiveEntities: 30, low: 0.5, high: 0.5 });
    // A thousand customers, of which one makes most of the requests.
    const requests = [9_000, ...Array<number>(999).fill(1)];
    const bounds = shareSequence(equal(Array<number>(1_000).fill(0), requests), options);
    expect(bounds.effectiveEntities).toBeLessThan(1.3);
    expect(bounds).toMatchObject({ entities: 1_000, low: null, high: null });
    expect(shareSequence(equal([], []), options)).toMatchObject({ entities: 0, requests: 0, low: null, high: null });
  });
});

test('the fewest requests that can pass are those at which nothing seen is just enough', () => {
  const options = { alpha: 0.0125, tunedFor: 20_000 };
  const least = leastRequests(0.001, options);
  const nothingIn = (requests: number): SequenceBounds =>
    shareSequence(
      { events: new Float64Array(requests), requests: new Float64Array(requests).fill(1) },
      { ...options, margin: 0.001 },
    );
  expect(nothingIn(Math.ceil(least * 1.01)).high as number).toBeLessThan(0.001);
  expect(nothingIn(Math.floor(least * 0.99)).high as number).toBeGreaterThan(0.001);
});
