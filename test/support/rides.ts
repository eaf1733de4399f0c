import {
  atLeast,
  count,
  defineProject,
  entity,
  eventStream,
  featureView,
  logistic,
  mean,
  model,
  notWorse,
  requestFeatures,
  rules,
  sum,
  t,
} from 'tidemill';
import { events, rawEvents, type Batch, type SeededRandom } from 'tidemill/testing';
import type { Schema } from '../../features/authoring/index.js';
import type { ModelOptions } from '../../models/authoring.js';

/**
 * Rides, keyed by rider, whose features need the rides of their driver and of their zone, too: views over the requests that
 * are keyed otherwise than their topic, one hop and two hops away. What is known of a driver comes in a stream of its own.
 */
const rider = entity('rider', t.int());
const driver = entity('driver', t.int());
const zone = entity('zone', t.int());

export const rides = eventStream('rides', {
  schema: {
    id: t.int(),
    at: t.timestamp(),
    rider: t.int(),
    driver: t.int(),
    zone: t.int().nullable(),
    fare: t.decimal(2),
  },
  eventId: 'id',
  eventTime: 'at',
  key: 'rider',
  allowedLateness: '10m',
});

export const complaints = eventStream('complaints', {
  schema: { id: t.int(), at: t.timestamp(), driver: t.int(), founded: t.bool() },
  eventId: 'id',
  eventTime: 'at',
  key: 'driver',
  allowedLateness: '1h',
  labels: rides,
});

const fare = requestFeatures(rides, ({ fare: amount }) => ({ fare: amount }), { name: 'fare' });
const windows = ({ fare: amount }: { readonly fare: Parameters<typeof sum>[0] }) => ({
  rides: count().over('1h', '1d'),
  fares: sum(amount).over('1h'),
  mean_fare: mean(amount).over('1d'),
});
const riderRides = featureView('rider_rides', {
  entity: rider,
  from: rides,
  key: 'rider',
  include: 'request',
  features: windows,
});
export const driverRides = featureView('driver_rides', {
  entity: driver,
  from: rides,
  key: 'driver',
  include: 'request',
  features: windows,
});
const driverComplaints = featureView('driver_complaints', {
  entity: driver,
  from: complaints,
  key: 'driver',
  features: ({ founded }) => ({ complaints: count().over('1d'), founded: mean(founded).over('1d').orElse(0) }),
});
const zoneRides = featureView('zone_rides', {
  entity: zone,
  from: rides,
  key: 'zone',
  include: 'past',
  features: windows,
});

/** Which features the model reads. */
const INPUTS = {
  /** One hop, to views over the requests alone. */
  driver: [fare, riderRides, driverRides],
  /** One hop, to views over the requests and over another stream. */
  complaints: [fare, riderRides, driverRides, driverComplaints],
  /** Two hops. */
  zone: [fare, riderRides, driverRides, driverComplaints, zoneRides],
} as const;

export function ridesProject(
  id: string,
  inputs: keyof typeof INPUTS,
  answer: NonNullable<ModelOptions<Schema>['answer']>,
) {
  const refusal = model('refusal', {
    task: 'binary',
    on: rides,
    label: complaints.field('founded'),
    labelDelay: '1h',
    entity: 'rider',
    inputs: INPUTS[inputs],
    answer,
    train: logistic(),
    split: { train: '12h', test: '6h' },
    gates: {
      absolute: [atLeast('auc', 0.6)],
      refresh: [notWorse('average_precision', { margin: 0.5 })],
      drift: [notWorse('average_precision', { margin: 0.5 })],
    },
    drift: { season: '1d', quiet: '1h', budget: '100 per 1d', freshPositives: 50 },
    decide: ({ score }) => rules().review(score.gt(0.5)).otherwise('allow'),
    fallback: ({ fare: amount }) => rules().score(amount.gt(200).if(0.8, 0.1)),
  });
  return { project: defineProject(id, { models: [refusal] }), refusal };
}

export const START = Date.parse('2026-01-02T00:00:00Z');

/** Rides of few riders, drivers and zones, one a minute, many of them in the same minute; each partition's are in order. */
export function orderlyRides(count: number): (random: SeededRandom) => readonly Batch[] {
  return (random) => {
    let at = START;
    return Array.from({ length: count }, (_, id): readonly Batch[] => {
      if (!random.chance(0.3)) at += 60_000;
      const ride = rideOf(id, at, random);
      const complaint = { id, at, driver: ride.driver, founded: ride.fare > 200 };
      return [events(rides, [ride]), ...(random.chance(0.3) ? [events(complaints, [complaint])] : [])];
    }).flat();
  };
}

/** The same with what producers do wrong: repeated, out of order, long out of date, broken. */
export function messyRides(count: number, firstId = 0): (random: SeededRandom) => readonly Batch[] {
  return (random) =>
    Array.from({ length: count }, (_, nth): readonly Batch[] => {
      const id = firstId + nth;
      const at = START + id * 60_000;
      const ride = rideOf(id, at, random);
      const complaint = { id, at: at - 60_000 * random.below(5), driver: ride.driver, founded: ride.fare > 200 };
      return [
        events(rides, [ride]),
        ...(random.chance(0.1) ? [events(rides, [ride])] : []),
        ...(random.chance(0.1) ? [events(rides, [{ ...ride, id: id + 1_000, at: at - 300_000 }])] : []),
        // Two rides of one id and time that only their drivers' windows see as one.
        ...(random.chance(0.1) ? [events(rides, [{ ...ride, rider: random.below(10) }])] : []),
        ...(random.chance(0.1) ? [events(rides, [{ ...ride, id: id + 2_000, at: at - 7_200_000 }])] : []),
        ...(random.chance(0.1) ? [rawEvents(rides, String(ride.rider), ['{'])] : []),
        ...(random.chance(0.5) ? [events(complaints, [complaint])] : []),
      ];
    }).flat();
}

export function rideOf(id: number, at: number, random: Pick<SeededRandom, 'below' | 'chance'>) {
  return {
    id,
    at,
    rider: random.below(10),
    driver: random.below(4),
    zone: random.chance(0.1) ? null : random.below(3),
    fare: random.below(30_000) / 100,
  };
}
