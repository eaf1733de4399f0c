import { expect, test } from 'vitest';
import { differences, oracleResults, readResults, WindowResults } from '../../../../bench/streams/windowResults.js';
import { tumblingEvents, WINDOW_MS } from '../../../../bench/streams/tumblingEvents.js';
import { createMemoryLog } from '../../../../stores/log/memoryLog.js';

const events = { events: 3_000, keys: 20, seed: 7 };

function copyOf(results: WindowResults, change: (values: number[], at: number) => number[] | null): WindowResults {
  const copy = new WindowResults();
  let at = 0;
  for (const { user, start, values } of results.entries()) {
    const changed = change([...values], at++);
    if (changed !== null) copy.add(user, start, changed);
  }
  return copy;
}

test('the batch counts every event once, in the window of its time', () => {
  let count = 0;
  const oracle = oracleResults(events);
  for (const { values } of oracle.entries()) count += values[0] as number;
  expect(count).toBe(events.events);
  for (const { at, user } of tumblingEvents(events)) {
    expect(oracle.get(user, Math.floor(at / WINDOW_MS) * WINDOW_MS)).not.toBeNull();
  }
});

test('sums that differ by the order of adding are the same', () => {
  const oracle = oracleResults(events);
  const copy = copyOf(oracle, ([count, sum, mean, max]) =>
    [count, sum, mean, max].map((value) => value! * (1 + 1e-12)),
  );
  expect(differences(copy, oracle, 'the batch')).toEqual([]);
});

test.each([
  [
    'a value that differs by a millionth',
    ([count, sum, ...rest]: number[]) => [count!, sum! * 1.000001, ...rest],
    /says count/,
  ],
  ['a window that is missing', () => null, /1 of \d+ windows of the batch are missing/],
])('%s is a difference', (_name, change, finding) => {
  const oracle = oracleResults(events);
  const found = differences(
    copyOf(oracle, (values, at) => (at === 5 ? change(values) : values)),
    oracle,
    'the batch',
  );
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(finding);
});

test('a window that nobody expects is a difference', () => {
  const oracle = oracleResults(events);
  const more = copyOf(oracle, (values) => values);
  more.add(999, Date.parse('2026-01-01T00:00:00Z'), [1, 2, 2, 2]);
  expect(differences(more, oracle, 'the batch')).toEqual(['1 windows are not in the batch']);
});

test('a window told twice and a record that is no result are found', async () => {
  const log = createMemoryLog({ clock: () => 0 });
  await log.ensureTopics([{ topic: 'results', partitions: 1 }]);
  const producer = await log.producer();
  const start = Date.parse('2026-01-01T00:00:00Z');
  const result = { key: 1, start, end: start + WINDOW_MS, count: 1, sum: 2, mean: 2, max: 2 };
  const texts = [result, result, { ...result, key: 2, sum: 'much' }, { ...result, key: -1 }];
  await producer.send(texts.map((text) => ({ topic: 'results', key: null, value: JSON.stringify(text) })));
  const { results, findings } = await readResults(log, 'results');
  expect(results.size).toBe(1);
  expect(findings).toHaveLength(2);
  expect(findings[0]).toContain('told twice');
  expect(findings[1]).toContain('is not a result');
  await log.close();
});
