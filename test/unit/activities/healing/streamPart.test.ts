import { afterEach, beforeEach, expect, test } from 'vitest';
import { recordsOf, startOf, type StreamSource } from '../../../../activities/healing/streamPart.js';
import { transactions } from '../../../../examples/fraud/project.js';
import type { Log, LogRecord } from '../../../../stores/log/log.js';
import { createMemoryLog } from '../../../../stores/log/memoryLog.js';

const APPENDED = Date.parse('2024-03-01T00:00:00Z');
const TOPIC = 'shop.transactions';
const stream = transactions.compiled;

let log: Log;
let nowMs: number;
beforeEach(async () => {
  nowMs = APPENDED;
  log = createMemoryLog({ clock: () => nowMs });
  await log.ensureTopics([{ topic: TOPIC, partitions: 1 }]);
  const producer = await log.producer();
  // One record an hour.
  for (let at = 0; at < 20; at++) {
    await producer.send([{ topic: TOPIC, partition: 0, key: null, value: String(at) }]);
    nowMs += 3_600_000;
  }
  await producer.close();
});
afterEach(() => log.close());

/** The log keeps offsets from `low` on, the archive those from `archived` on. */
function sourceOf(low: number, archived: number): StreamSource {
  const shortened: Log = Object.assign(Object.create(log) as Log, {
    offsets: () => Promise.resolve([{ partition: 0, low, high: 20 }]),
    offsetsAt: async (topic: string, timestamp: number) =>
      (await log.offsetsAt(topic, timestamp)).map((each) => ({ ...each, offset: Math.max(low, each.offset) })),
  });
  const archive: StreamSource['archive'] = {
    reach: (_, to) => Promise.resolve({ from: Math.min(archived, to), lost: null }),
    read: (place, { from, to }) => log.read({ ...place, from, to }),
  };
  return { log: shortened, archive, project: 'shop', stream };
}

async function offsetsOf(records: AsyncIterable<readonly LogRecord[]>): Promise<number[]> {
  const offsets: number[] = [];
  for await (const batch of records) offsets.push(...batch.map(({ offset }) => offset));
  return offsets;
}

const always = Number.NEGATIVE_INFINITY;

test('reading begins where the log does, or before it where the archive reaches', async () => {
  expect(await startOf(sourceOf(0, 0), 0, always)).toEqual({ from: 0, lost: 0 });
  expect(await startOf(sourceOf(8, 0), 0, always)).toEqual({ from: 0, lost: 0 });
  expect(await startOf(sourceOf(8, 3), 0, always)).toEqual({ from: 3, lost: 3 });
  expect(await startOf(sourceOf(8, 20), 0, always)).toEqual({ from: 8, lost: 8 });
});

test('what was appended too early to be of a time is left out, and only that', async () => {
  const after = APPENDED + 10 * 3_600_000 + stream.maxFutureMs;
  expect(await startOf(sourceOf(0, 0), 0, after)).toEqual({ from: 10, lost: 0 });
  expect(await startOf(sourceOf(8, 3), 0, after)).toEqual({ from: 10, lost: 0 });
  // The log begins later: what is in the archive may be of that time.
  expect(await startOf(sourceOf(12, 3), 0, after)).toEqual({ from: 3, lost: 3 });
});

test('a part is read out of the archive up to where the log begins, each record once', async () => {
  const source = sourceOf(8, 3);
  const read = (from: number, to: number): Promise<number[]> =>
    offsetsOf(recordsOf(source, { partition: 0, from, to }));
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);
  expect(await read(3, 20)).toEqual(range(3, 20));
  expect(await read(3, 6)).toEqual(range(3, 6));
  expect(await read(8, 12)).toEqual(range(8, 12));
  expect(await read(12, 20)).toEqual(range(12, 20));
});
