import { describe, expect, test } from 'vitest';
import { seededRandom, testStreams, type StreamTestDriver } from 'tidemill/testing';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import type { Skew } from '../../../activities/audit/compareVectors.js';
import type { Model } from '../../../models/authoring.js';
import { complaints, orderlyRides, ridesProject, rides, START } from '../../support/rides.js';

const NOTHING_LIVE_BEFORE = new Map<number, number>();

/** History that lies in the log before anybody starts, each partition of it in order; returns how many rides there are. */
async function sendHistory(driver: StreamTestDriver, seed: number, count: number): Promise<number> {
  let sent = 0;
  for (const { stream, records } of orderlyRides(count)(seededRandom(seed))) {
    const isRide = stream.name === rides.compiled.name;
    const options = { arrivesAt: START + 86_400_000 };
    for (const { key, value } of records)
      await (isRide
        ? driver.stream(rides).sendRaw(value, { key, ...options })
        : driver.stream(complaints).sendRaw(value, { key, ...options }));
    if (isRide) sent += records.length;
  }
  return sent;
}

async function skewOf(driver: StreamTestDriver, { compiled }: Model): Promise<Skew> {
  await driver.settle();
  const audit = await verifyServed(driver.log, 'rides', compiled, NOTHING_LIVE_BEFORE);
  expect(audit.findings).toEqual([]);
  return audit.skew;
}

describe.each(['driver', 'complaints', 'zone'] as const)(
  'history replayed by two instances that die now and then, inputs %s',
  (inputs) => {
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

    async function replayed(answer: 'arrival' | 'ordered', seed: number): Promise<{ skew: Skew; early: number }> {
      const { project, refusal } = ridesProject('rides', inputs, answer);
      const driver = await testStreams(project, { instances: [], partitions: 3 });
      try {
        const count = await sendHistory(driver, seed, 120);
        await driver.interleave({
          seed,
          instances: ['one', 'two'],
          faults: 4,
          kinds: ['crashAt', 'crash', 'failure', 'fence'],
        });
        const predictions = await driver.predictions(refusal);
        expect(new Set(predictions.map(({ id }) => id)).size).toBe(count);
        expect((await driver.checkInvariants()).predictions).toBe(count);
        const skew = await skewOf(driver, refusal);
        return { skew, early: predictions.filter(({ early }) => early === true).length };
      } finally {
        await driver.close();
      }
    }

    test('in order: nothing was on its way when a ride was answered', async () => {
      for (const seed of seeds) expect(await replayed('ordered', seed)).toMatchObject({ skew: { rows: 0 }, early: 0 });
    });

    test('on arrival: what was on its way is measured', async () => {
      let rows = 0;
      for (const seed of seeds) rows += (await replayed('arrival', seed)).skew.inFlight;
      expect(rows).toBeGreaterThan(seeds.length);
    });
  },
);

describe('a ride that is answered in order', () => {
  async function driverWith(answer: Parameters<typeof ridesProject>[2]) {
    const { project, refusal } = ridesProject('rides', 'driver', answer);
    return { driver: await testStreams(project, { partitions: 2, now: START }), refusal };
  }
  const ride = (id: number, at: number, rider: number) => ({ id, at, rider, driver: 1, zone: 1, fare: 10 });
  /** Riders whose rides go to different partitions. */
  const [HERE, THERE] = [1, 2];

  test('waits until the other partitions are known to have nothing before it', async () => {
    const { driver, refusal } = await driverWith('ordered');
    const [here] = await driver.stream(rides).send(ride(1, START, HERE));
    await driver.advanceWallClock(10);
    expect((await driver.log.offsets('rides.refusal.predictions')).map(({ high }) => high)).toEqual([0, 0]);
    const [there] = await driver.stream(rides).send(ride(2, START - 1_000, THERE), { arrivesAt: START });
    expect(here?.partition).not.toBe(there?.partition);
    await driver.settle();
    const predictions = await driver.predictions(refusal);
    // The later one of the two sees both, though it came first.
    expect(predictions.map(({ id, features }) => [id, features['driver_rides.rides_1h']]).sort()).toEqual([
      [1, 2],
      [2, 1],
    ]);
    await driver.close();
  });
});
