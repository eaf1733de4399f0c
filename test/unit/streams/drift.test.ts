import { expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import type { Log, ReadRange } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { DriftWatch, type SourceStanding } from '../../../streams/runtime/drift.js';
import { runTopology } from '../../../streams/runtime/runTopology.js';
import { idleTopology, onlyPartition } from '../../support/idleTopology.js';

const HOUR = 3_600_000;
const never = (error: unknown): void => expect.unreachable(String(error));

test('who is too far ahead of the slowest waits; the slowest and the idle hold up nobody else', async () => {
  const log = createMemoryLog({ clock: () => 0 });
  await log.ensureTopics([{ topic: 'progress', partitions: 1 }]);
  const producer = await log.producer();
  let heard: () => void = () => undefined;
  const watch = new DriftWatch(log, { topic: 'progress', maxDriftMs: HOUR }, () => heard(), never);
  const tell = async (...standings: readonly SourceStanding[]): Promise<void> => {
    const news = new Promise<void>((resolve) => (heard = resolve));
    await producer.send(standings.map((each) => watch.record(each)));
    await news;
  };
  const at = (task: string, hours: number | null, isIdle = false): SourceStanding => {
    return { task, time: hours === null ? null : hours * HOUR, isIdle };
  };

  expect(watch.isAhead(at('a', 100))).toBe(false);
  await tell(at('a', 3), at('b', 1), at('c', null));
  expect([at('a', 3), at('b', 1), at('c', null), at('d', 2)].map((each) => watch.isAhead(each))).toEqual([
    true,
    false,
    false,
    false,
  ]);
  await tell(at('b', 1, true));
  expect(watch.isAhead(at('a', 3))).toBe(false);
  await tell(at('b', 2));
  expect([watch.isAhead(at('a', 3)), watch.isAhead(at('a', 3.5))]).toEqual([false, true]);
  await watch.stop();
});

test('where the group cannot be joined nobody goes on reading', async () => {
  const log = createMemoryLog({ clock: () => 0 });
  await log.ensureTopics([{ ...onlyPartition, partitions: 1 }]);
  let reading: AbortSignal | undefined;
  const alone = Object.assign(Object.create(log) as Log, {
    join: () => Promise.reject(new TidemillError('LOG_UNAVAILABLE', 'nobody is there')),
    read: (range: ReadRange) => {
      reading = range.signal;
      return log.read(range);
    },
  });
  const options = { log: alone, instance: 'one', directory: 'one', onFatal: never };
  const topology = { ...idleTopology, drift: { topic: onlyPartition.topic, maxDriftMs: HOUR } };
  await expect(runTopology(topology, options)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  expect(reading?.aborted).toBe(true);
});

test('a topic that cannot be read is said, and read anew', async () => {
  const log = createMemoryLog({ clock: () => 0 });
  await log.ensureTopics([{ topic: 'progress', partitions: 1 }]);
  let isAway = true;
  const flaky = Object.create(log, {
    offsets: {
      value: async (topic: string) => {
        if (isAway) throw new Error('the broker is away');
        return log.offsets(topic);
      },
    },
  }) as typeof log;
  let said: (error: unknown) => void = () => undefined;
  let heard: () => void = () => undefined;
  const problem = new Promise<unknown>((resolve) => (said = resolve));
  const news = new Promise<void>((resolve) => (heard = resolve));
  const watch = new DriftWatch(
    flaky,
    { topic: 'progress', maxDriftMs: HOUR },
    () => heard(),
    (error) => said(error),
  );
  expect(await problem).toMatchObject({ message: 'the broker is away' });
  isAway = false;
  await (await log.producer()).send([watch.record({ task: 'b', time: 0, isIdle: false })]);
  await news;
  expect(watch.isAhead({ task: 'a', time: 2 * HOUR, isIdle: false })).toBe(true);
  await watch.stop();
});
