import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import type { Configuration } from '../../../contracts/configuration.js';
import { groupId, hopTopic } from '../../../contracts/topics.js';
import { sales, salesPerCity, spendPerCustomer } from '../../../examples/sales/project.js';
import type { LogProducer, OutgoingRecord } from '../../../stores/log/log.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import { hasCaughtUp } from '../../support/caughtUp.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { randomNumbers } from '../../support/payments.js';
import { exampleModule, StreamWorker, workerConfiguration } from '../../support/streamWorker.js';
import {
  expectedWindows,
  latestResults,
  lineOf,
  valuesOf,
  type ExpectedWindow,
  type WindowText,
} from '../../support/windowOracle.js';

const PARTITIONS = 4;
const project = 'windowtest';
const source = `${project}.${sales.compiled.name}`;
const START = Date.parse('2026-01-01T00:00:00Z');
const perCity = { project, name: 'window.sales-per-city', generation: 1 };
const perCustomer = { project, name: 'window.spend-per-customer', generation: 1 };

let kafka: TestKafka;
let configuration: Configuration;
let producer: LogProducer;

beforeAll(async () => {
  kafka = await startTestKafka();
  producer = await kafka.log.producer();
  configuration = workerConfiguration(project, exampleModule('sales'), kafka.broker, join(kafka.directory, 'home'));
  await kafka.log.ensureTopics([{ topic: source, partitions: PARTITIONS }]);
});
afterAll(async () => {
  await producer.close();
  await kafka.stop();
});

/** Sales out of order, repeated, long out of date and broken. */
function made(length: number): OutgoingRecord[] {
  const random = randomNumbers(4);
  const below = (bound: number): number => Math.floor(random() * bound);
  return Array.from({ length }, (_, id) => id).flatMap((id) => {
    const what = random();
    const behind = what < 0.03 ? below(600_000) : what < 0.3 ? below(30_000) : 0;
    const customer = below(300);
    const sale = {
      id,
      at: START + id * 100 - behind,
      customer,
      city: `city ${below(25)}`,
      amount: below(20_000) / 100,
    };
    const record = { topic: source, key: String(customer), value: JSON.stringify(sale) };
    if (what > 0.98) return [record, record];
    return what > 0.97 ? [record, { ...record, value: '{"id":' }] : [record];
  });
}

const caughtUp = async (): Promise<boolean> =>
  (await hasCaughtUp(kafka.log, groupId(perCustomer), [source])) &&
  (await hasCaughtUp(kafka.log, groupId(perCity), [source, hopTopic(perCity, 'city')]));

describe('windows', () => {
  test('tell every result exactly once through kill -9, with a hop and without', { timeout: 240_000 }, async () => {
    const topologies = `${perCustomer.name},${perCity.name}`;
    const start = (name: string, env = {}): StreamWorker =>
      new StreamWorker(configuration, ['--topologies', topologies, '--instance', name], env);
    let first = start('first');
    // Dies by itself with outputs sent and offsets not: the worst moment there is.
    let second = start('second', { TIDEMILL_FAIL_POINT: 'after-outputs:12' });
    const records = made(20_000);
    const chunk = Math.ceil(records.length / 24);
    for (let at = 0; at < 24; at++) {
      await producer.send(records.slice(at * chunk, (at + 1) * chunk));
      await sleep(250);
      if (at === 8) {
        await first.kill();
        first = start('first');
      }
      if (at === 14) {
        if (second.isRunning) await second.kill();
        second = start('second', { TIDEMILL_FAIL_POINT: 'after-offsets:10' });
      }
      if (at === 20) {
        if (second.isRunning) await second.kill();
        second = start('second');
      }
    }
    while (!(await caughtUp())) await sleep(200);
    expect(await first.stop()).toMatchObject({ code: 0 });
    expect(await second.stop()).toMatchObject({ code: 0 });

    const input = await readTopic(kafka.log, source);
    const results = async ({ compiled }: typeof spendPerCustomer): Promise<WindowText[]> =>
      (await readTopic(kafka.log, `${project}.${compiled.to}`)).map((each) => jsonOf<WindowText>(each));
    const linesOf = (told: readonly WindowText[]): string[] => told.map((each) => lineOf(each, valuesOf(each))).sort();
    const expectedLines = (windows: readonly ExpectedWindow[]): string[] =>
      windows.map((each) => lineOf(each, each.values)).sort();

    const closing = expectedWindows(spendPerCustomer.compiled, input);
    const isClosed = ({ key, end }: ExpectedWindow): boolean =>
      end <= (closing.watermarks.get(partitionOf(String(key), PARTITIONS)) as number);
    const told = await results(spendPerCustomer);
    expect(linesOf(told)).toEqual(expectedLines(closing.windows.filter(isClosed)));
    expect(told.length).toBeGreaterThan(3_000);

    const updates = await results(salesPerCity);
    const { latest, problems } = latestResults(updates);
    expect(problems).toEqual([]);
    expect(linesOf(latest)).toEqual(expectedLines(expectedWindows(salesPerCity.compiled, input).windows));
    // Coalesced: far fewer records than changes.
    expect(updates.length).toBeLessThan(5 * input.length);

    // What did not count ended once, although two topologies read it.
    const counted = (outcome: string): number => closing.outcomes.filter((each) => each === outcome).length;
    const ended = async (topic: string): Promise<number> => (await readTopic(kafka.log, `${project}.${topic}`)).length;
    expect([await ended('late'), await ended('duplicates'), await ended('dead-letters')]).toEqual([
      counted('late'),
      counted('duplicate'),
      counted('deadLetter'),
    ]);
    expect(counted('late')).toBeGreaterThan(0);
  });
});
