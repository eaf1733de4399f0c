import { createRequire } from 'node:module';
import type * as TemporalTesting from '@temporalio/testing';
import { expect, test } from 'vitest';
import { createWatchActivities, type ActivityDependencies } from '../../../activities/index.js';
import { StallWatch } from '../../../activities/stallWatch.js';
import { fraud } from '../../../examples/fraud/project.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { predictionOf } from '../../support/predictions.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;

test('a phase without requests is inconclusive once nothing has come for as long as its model says', async () => {
  const log = createMemoryLog({ clock: () => 0 });
  const topic = 'p.fraud.predictions';
  await log.ensureTopics([{ topic, partitions: 1 }]);
  const producer = await log.producer();
  await producer.send([{ topic, key: '1', value: JSON.stringify(predictionOf({ epoch: 2, at: 5_000 })) }]);
  await producer.close();
  const activities = createWatchActivities({
    log,
    project: 'p',
    registry: { newestRollout: () => Promise.resolve(null) },
    modelOf: () => ({ ...fraud.compiled, stallAfterMs: 1 }),
  } as unknown as ActivityDependencies);
  const watch = {
    step: 'shadow',
    kind: 'shadow',
    version: 2,
    reference: 1,
    share: 0,
    wanted: 100,
    atMostMs: 86_400_000,
  } as const;
  const begun = { epoch: 2, from: {}, since: 4_000, finished: null };
  expect(
    await new MockActivityEnvironment().run(() =>
      activities.awaitEvidence({ model: 'fraud', token: 1 }, watch, begun, 1),
    ),
  ).toMatchObject({ decision: 'inconclusive', reason: 'stalled: stream time has not gone on for 1ms' });
});

test('a stall is counted from the last progress', () => {
  let now = 0;
  const stall = new StallWatch(100, () => now);
  const at = (ms: number, ...progress: (number | null)[]): boolean => {
    now = ms;
    return stall.isStalled(...progress);
  };
  expect([at(0, null, 0), at(99, null, 0), at(100, null, 0)]).toEqual([false, false, true]);
  expect([at(110, 5, 0), at(200, 5, 0), at(205, 5, 1), at(304, 5, 1), at(305, 5, 1)]).toEqual([
    false,
    false,
    false,
    false,
    true,
  ]);
});
