import { MockActivityEnvironment } from '@temporalio/testing';
import { beforeEach, expect, test } from 'vitest';
import { awaitArchive } from '../../../activities/dataset/awaitArchive.js';
import { archiveTopic } from '../../../contracts/topics.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';

const project = 'p';
const topic = 'p.sales';

let log: Log;
beforeEach(async () => {
  log = createMemoryLog({ clock: () => 0 });
  await log.ensureTopics([
    { topic, partitions: 1 },
    { topic: archiveTopic(project), partitions: 1 },
  ]);
});

/** Sends so many records as one transaction, whose end takes an offset. */
async function send(count: number, end: 'commit' | 'abort' = 'commit'): Promise<void> {
  const producer = await log.transactionalProducer('shop');
  await producer.begin();
  await producer.send(Array.from({ length: count }, (_, at) => ({ topic, key: null, value: String(at) })));
  await producer[end]();
  await producer.close();
}

/** What the archive writes once it has the records of these offsets. */
async function archived(first: number, last: number): Promise<void> {
  const producer = await log.producer();
  const value = { topic, partition: 0, first, last, rows: last - first + 1, files: [] };
  await producer.send([{ topic: archiveTopic(project), partition: 0, key: null, value: JSON.stringify(value) }]);
  await producer.close();
}

const waiting = (of: Log, onLook: () => void = () => undefined): Promise<unknown> => {
  const environment = new MockActivityEnvironment();
  environment.on('heartbeat', onLook);
  return environment.run(() => awaitArchive(of, project, [topic], 'fraud'));
};

test('what is archived up to the last record is archived, though transactions end behind it', async () => {
  await send(5);
  await archived(0, 4);
  await send(3, 'abort');
  expect(await waiting(log)).toEqual({ [topic]: { 0: 10 } });
});

test('a partition whose records are all gone has nothing to be waited for', async () => {
  const emptied = Object.assign(Object.create(log) as Log, {
    offsets: async (of: string) => (of === topic ? [{ partition: 0, low: 100, high: 100 }] : log.offsets(of)),
  });
  expect(await waiting(emptied)).toEqual({ [topic]: { 0: 100 } });
});

test('records that are not archived yet are waited for', { timeout: 30_000 }, async () => {
  await send(5);
  await archived(0, 3);
  let looks = 0;
  const result = waiting(log, () => {
    // Twice it is as far as it was.
    if (++looks === 3) void archived(4, 4);
  });
  expect(await result).toEqual({ [topic]: { 0: 6 } });
  expect(looks).toBeGreaterThanOrEqual(3);
});
