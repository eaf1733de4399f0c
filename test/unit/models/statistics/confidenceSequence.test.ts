import { describe, expect, test } from 'vitest';
import {
  boundaryReach,
  differenceSequence,
  groupSequence,
  leastRequests,
  shareSequence,
  widest,
  type ArmSums,
  type SequenceBounds,
} from '../../../../models/statistics/confidenceSequence.js';
import { normalUpper } from '../../../../models/statistics/normal.js';

const ALPHA = 0.05;

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
