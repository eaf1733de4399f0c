import { describe, expect, test } from 'vitest';
import { events, exploreInterleavings, seededRandom, testStreams, type StreamTestDriver } from 'tidemill/testing';
import { count, defineProject, eventStream, sum, t, windowed } from '../../../index.js';

const orders = eventStream('orders', {
  schema: { id: t.int(), at: t.timestamp(), customer: t.int(), city: t.string(), amount: t.decimal(2) },
  eventId: 'id',
  eventTime: 'at',
  key: 'customer',
  allowedLateness: '1m',
});
const byCustomer = windowed('by_customer', orders)
  .by('customer')
  .tumbling('1m')
  .aggregate(({ amount }) => ({ orders: count(), total: sum(amount) }))
  .to('customer-minutes');
const byCity = windowed('by_city', orders)
  .by('city')
  .tumbling('1m')
  .aggregate(({ amount }) => ({ orders: count(), total: sum(amount) }))
  .to('city-minutes');
const project = defineProject('shop', { windows: [byCustomer, byCity] });

const random = seededRandom(5);
const START = Date.parse('2026-01-02T00:00:00Z');
const someOrders = events(
  orders,
  Array.from({ length: 200 }, (_, id) => ({
    id,
    at: START + id * 5_000 - random.below(4) * 10_000,
    customer: random.below(6),
    city: random.pick(['Bergen', 'Porto', 'Split']),
    amount: random.below(1_000) / 100,
  })),
);

async function results(driver: StreamTestDriver): Promise<string[]> {
  const all = [...(await driver.windowResults(byCustomer)), ...(await driver.windowResults(byCity))];
  return all.map((each) => JSON.stringify(each)).sort();
}

test('windows give the same results, each once, in whatever order things happen', async () => {
  const driver = await testStreams(project, { topologies: ['windows'], now: START });
  for (const { value } of someOrders.records) {
    const event = JSON.parse(value) as { customer: number };
    await driver.stream(orders).sendRaw(value, { key: String(event.customer), arrivesAt: START + 1_000_000 });
  }
  const expected = await results(driver);
  await driver.close();
  expect(expected.length).toBeGreaterThan(50);
  expect(new Set(expected).size).toBe(expected.length);

  let inTime = 0;
  const report = await exploreInterleavings(project, {
    seeds: 40,
    topologies: ['windows'],
    inputs: () => [someOrders],
    check: async (explored) => {
      // A partition that falls silent holds up nobody: what still comes there may be too late for the windows of another key.
      if ((await explored.late()).length > 0) return;
      expect(await results(explored)).toEqual(expected);
      inTime++;
    },
  });
  expect(inTime).toBeGreaterThan(30);
  expect(report.tasks).toBeGreaterThanOrEqual(40 * 6);
});

describe('windows by another key than the topic’s', () => {
  const order = (id: number, seconds: number, customer: number) => {
    return { id, at: START + seconds * 1_000, customer, city: 'Porto', amount: 1 };
  };
  /** Customers whose orders go to different partitions. */
  const [HERE, THERE] = [1, 2];

  test('do not wait for a partition that is idle, and set aside what comes from it too late', async () => {
    const driver = await testStreams(project, { topologies: ['windows'], now: START });
    const [here] = await driver.stream(orders).send(order(1, 0, HERE));
    const [there] = await driver.stream(orders).send(order(2, 1, THERE));
    expect(here?.partition).not.toBe(there?.partition);
    await driver.stream(orders).send(order(3, 300, HERE));
    await driver.settle();
    expect(await driver.windowResults(byCity)).toEqual([]);
    await driver.advanceWallClock(2_000);
    expect(await driver.windowResults(byCity)).toMatchObject([{ key: 'Porto', start: START, orders: 2 }]);

    // In time where it comes in; its window has closed.
    const [late] = await driver.stream(orders).send(order(4, 2, THERE), { arrivesAt: START + 310_000 });
    const [inTime] = await driver.stream(orders).send(order(5, 290, THERE), { arrivesAt: START + 310_000 });
    await driver.settle();
    expect((await driver.late()).map(({ source, id, at }) => ({ source, id, at }))).toEqual([
      { source: late, id: 4, at: START + 2_000 },
    ]);
    await driver.stream(orders).send([order(6, 900, HERE), order(7, 900, THERE)], { arrivesAt: START + 900_000 });
    await driver.settle();
    expect(await driver.windowResults(byCity)).toMatchObject([
      { start: START, orders: 2, revision: 0 },
      { start: START + 240_000, orders: 1 },
      { start: START + 300_000, orders: 1 },
    ]);
    expect(inTime?.partition).toBe(there?.partition);
    await driver.checkInvariants();
    await driver.close();
  });
});
