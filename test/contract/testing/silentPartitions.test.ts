import { describe, expect, test } from 'vitest';
import {
  events,
  exploreInterleavings,
  testStreams,
  type Batch,
  type SeededRandom,
  type StreamTestDriver,
} from 'tidemill/testing';
import type { OutcomeRecord } from '../../../contracts/records.js';
import { outcomesTopic, predictionsTopic } from '../../../contracts/topics.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import { expectedReports } from '../../support/expectedReports.js';
import { orders, project, refund, refunds, START } from './refunds.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const PARTITIONS = 4;
/** Two shops, so that at least two of the four partitions never have anything. */
const [HERE, THERE] = [1, 2];

const options = {
  topologies: ['score', 'outcome', 'monitor'],
  partitions: PARTITIONS,
  models: { refund: ({ amount }: Readonly<Record<string, number | null>>) => Math.min(0.99, (amount ?? 0) / 500) },
  now: START,
} as const;

const order = (id: number, minutes: number, shop: number) => ({
  id,
  at: START + minutes * MINUTE,
  shop,
  amount: 10 * (1 + (id % 40)),
});
const refundOf = (id: number, minutes: number, shop: number) => ({
  id,
  at: START + minutes * MINUTE,
  shop,
  refunded: true,
});
/** Longer than a partition is silent before it counts as idle. */
const quiet = (driver: StreamTestDriver): Promise<void> => driver.advanceWallClock(2_000);

async function newestReports(driver: StreamTestDriver) {
  const reports = await driver.reports(refund);
  return reports
    .filter(({ from, revision }) => !reports.some((each) => each.from === from && each.revision > revision))
    .sort((a, b) => a.from - b.from);
}

describe('a partition without records', () => {
  test('holds back no report and no absence of a label', async () => {
    expect(partitionOf(String(HERE), PARTITIONS)).not.toBe(partitionOf(String(THERE), PARTITIONS));
    const driver = await testStreams(project, options);
    for (let id = 0; id < 60; id++) {
      await driver.stream(orders).send(order(id, 5 * id, id % 2 === 0 ? HERE : THERE));
      if (id % 6 === 5) await driver.stream(refunds).send(refundOf(id - 5, 5 * id, HERE));
    }
    await driver.settle();
    await quiet(driver);
    const outcomes = await driver.outcomes(refund);
    // Labels up to 4:55, less lateness; absence is known three hours after the request.
    const absent = outcomes.filter(({ source }) => source === 'absence').map(({ id }) => Number(id));
    expect(absent.length).toBeGreaterThan(10);
    expect(absent.every((id) => id % 6 !== 0 || id > 54)).toBe(true);
    await quiet(driver);
    const reports = await newestReports(driver);
    expect(reports.map(({ from, predictions }) => [(from - START) / HOUR, predictions?.rows])).toEqual([
      [0, 12],
      [1, 12],
      [2, 12],
      [3, 12],
    ]);
    await driver.checkInvariants();
    await driver.close();
  });
});

describe('a partition that falls silent', () => {
  test('is counted by what it had said, and by what it says when it comes again', async () => {
    const driver = await testStreams(project, options);
    const stream = driver.stream(orders);
    await stream.send([order(1, 5, HERE), order(2, 10, THERE), order(3, 15, THERE)]);
    await driver.settle();
    await quiet(driver);
    // The first hour is over here; there it is open.
    await stream.send(order(4, 90, HERE));
    await driver.settle();
    expect((await newestReports(driver)).map(({ from, predictions }) => [from, predictions?.rows])).toEqual([
      [START, 3],
    ]);

    // In time there: its own hour has not closed.
    await stream.send(order(5, 20, THERE), { arrivesAt: START + 91 * MINUTE });
    await driver.settle();
    await quiet(driver);
    expect((await newestReports(driver)).map(({ revision, predictions }) => [revision, predictions?.rows])).toEqual([
      [1, 4],
    ]);

    // Closes there what has been counted: nothing is new.
    await stream.send(order(6, 95, THERE));
    await driver.settle();
    await quiet(driver);
    expect((await newestReports(driver)).map(({ revision, predictions }) => [revision, predictions?.rows])).toEqual([
      [1, 4],
    ]);
    await stream.send([order(7, 200, HERE), order(8, 200, THERE)]);
    await driver.settle();
    expect(
      (await newestReports(driver)).map(({ from, predictions }) => [(from - START) / HOUR, predictions?.rows]),
    ).toEqual([
      [0, 4],
      [1, 2],
    ]);
    await driver.checkInvariants();
    await driver.close();
  });

  test('has its say when its labels come after their absence was told of', async () => {
    const driver = await testStreams(project, options);
    await driver.stream(orders).send([order(1, 5, HERE), order(2, 10, THERE)]);
    await driver.stream(refunds).send(refundOf(99, 5, THERE));
    await driver.settle();
    await quiet(driver);
    await driver.stream(refunds).send(refundOf(98, 240, HERE));
    await driver.settle();
    await driver.stream(refunds).send(refundOf(2, 60, THERE), { arrivesAt: START + 241 * MINUTE });
    await driver.settle();
    const told = ({ id, revision, label, source }: OutcomeRecord) => [id, revision, label, source];
    const outcomes = (await driver.outcomes(refund)).map(told);
    expect(outcomes).toEqual(
      expect.arrayContaining([
        [1, 0, 0, 'absence'],
        [2, 0, 0, 'absence'],
        [2, 1, 1, 'natural'],
      ]),
    );
    expect(outcomes).toHaveLength(3);
    await driver.checkInvariants();
    await driver.close();
  });
});

/** Orders of three shops; each is silent for hours now and then, and comes back, sometimes with what lies hours behind. */
function unevenOrders(random: SeededRandom): readonly Batch[] {
  const awakeFrom = new Map<number, number>();
  return Array.from({ length: 12 * 8 }, (_, id) => {
    const now = id * 5;
    const awake = [1, 2, 3].filter((shop) => (awakeFrom.get(shop) ?? 0) <= now);
    const shop = random.pick(awake.length === 0 ? [1] : awake);
    if (random.chance(0.1)) awakeFrom.set(shop, now + 60 + random.below(180));
    const minutes = Math.max(0, now - (random.chance(0.1) ? random.below(90) : random.below(8)));
    const batch = events(orders, [order(id, minutes, shop)]);
    return random.chance(0.4)
      ? [batch, events(refunds, [refundOf(id, minutes + random.below(120), random.below(3))])]
      : [batch];
  }).flat();
}

test('whoever falls silent, and whatever goes wrong: the newest reports say what the records say (30 seeds)', async () => {
  let reported = 0;
  const report = await exploreInterleavings(project, {
    ...options,
    seeds: 30,
    inputs: unevenOrders,
    faults: 4,
    check: async (driver) => {
      for (let round = 0; round < 3; round++) {
        await driver.settle();
        await quiet(driver);
      }
      const topics = [predictionsTopic('shop', 'refund'), outcomesTopic('shop', 'refund')];
      const records = (await Promise.all(topics.map((topic) => driver.records(topic)))).flat();
      const expected = expectedReports('shop', refund.compiled, records, PARTITIONS, HOUR);
      const newest = await newestReports(driver);
      const told = newest.map(({ from, predictions, outcomes }) => [
        from,
        predictions?.rows ?? null,
        outcomes === null ? null : [outcomes.rows, outcomes.positives],
      ]);
      expect(told).toEqual(
        expected.map(({ from, predictions, outcomes }) => [
          from,
          predictions?.rows ?? null,
          outcomes === null ? null : [outcomes.rows, outcomes.positives],
        ]),
      );
      expect(newest.length).toBeGreaterThan(3);
      reported += newest.length;
    },
  });
  expect(reported).toBeGreaterThan(30 * 5);
  expect(report.faults).toBeGreaterThan(60);
});
