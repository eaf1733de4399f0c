import { expect, test } from 'vitest';
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

  const report = await exploreInterleavings(project, {
    seeds: 40,
    topologies: ['windows'],
    inputs: () => [someOrders],
    check: async (explored) => expect(await results(explored)).toEqual(expected),
  });
  expect(report.tasks).toBeGreaterThanOrEqual(40 * 6);
});
