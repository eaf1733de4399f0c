import { describe, expect, test } from 'vitest';
import { seededRandom, testStreams, type StreamTestDriver } from 'tidemill/testing';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import type { Skew } from '../../../activities/audit/compareVectors.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import { predictionsTopic } from '../../../contracts/topics.js';
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

  test('does not wait for a stream that has nothing to say', async () => {
    const { project, refusal } = ridesProject('rides', 'complaints', 'ordered');
    const driver = await testStreams(project, { partitions: 2, now: START });
    await driver
      .stream(rides)
      .send([ride(1, START, HERE), ride(2, START + 1_000, THERE), ride(3, START + 2_000, HERE)]);
    const predictions = await driver.predictions(refusal);
    expect(predictions.map(({ id, early }) => [id, early]).sort()).toEqual([1, 2, 3].map((id) => [id, undefined]));
    await driver.checkInvariants();
    await driver.close();
  });

  test('waits no longer than maxWait, says so, and is not answered again by whoever takes over', async () => {
    const { driver, refusal } = await driverWith({ maxWait: '500ms' });
    await driver.stream(rides).send([ride(1, START, HERE), ride(2, START, THERE)]);
    await driver.settle();
    // Nobody is idle yet: the other partition may still have something from before.
    await driver.stream(rides).send([ride(3, START + 60_000, HERE), ride(4, START + 60_000, THERE)]);
    await driver.stream(rides).send(ride(5, START + 120_000, HERE));
    await driver.advanceWallClock(400);
    expect((await predictionIds(driver)).sort()).toEqual([1, 2]);
    await driver.advanceWallClock(200);
    expect((await predictionIds(driver)).sort()).toEqual([1, 2, 3, 4, 5]);
    await driver.stop('one');
    await driver.start('two');
    await driver.stream(rides).send(ride(6, START + 100_000, THERE));
    const predictions = await driver.predictions(refusal);
    expect(predictions.map(({ id }) => id).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    // The fifth went early, and the sixth is from before it: that is skew, and is measured.
    expect(predictions.find(({ id }) => id === 5)?.early).toBe(true);
    expect((await skewOf(driver, refusal)).inFlight).toBe(1);
    await driver.checkInvariants();
    await driver.close();
  });
});

/** Those there are now, without waiting for others. */
async function predictionIds({ log }: StreamTestDriver): Promise<(string | number)[]> {
  return (await readTopic(log, predictionsTopic('rides', 'refusal'))).map((each) => jsonOf<PredictionRecord>(each).id);
}
