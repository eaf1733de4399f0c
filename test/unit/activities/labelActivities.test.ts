import { createRequire } from 'node:module';
import type * as TemporalTesting from '@temporalio/testing';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLabelActivities, type ActivityDependencies } from '../../../activities/index.js';
import type { OutcomeRecord } from '../../../contracts/records.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;

const ONSET = 1_000;

let log: Log;
let watermark: number | null;
beforeEach(async () => {
  log = createMemoryLog({ clock: () => 0 });
  watermark = 500;
  await log.ensureTopics([{ topic: 'p.fraud.outcomes', partitions: 2 }]);
});

const label = async (
  ...outcomes: readonly (Pick<OutcomeRecord, 'at' | 'label'> & Partial<OutcomeRecord>)[]
): Promise<void> => {
  const producer = await log.producer();
  await producer.send(
    outcomes.map((outcome, at) => ({ topic: 'p.fraud.outcomes', key: String(at), value: JSON.stringify(outcome) })),
  );
  await producer.close();
};
const activities = (stallAfterMs: number) =>
  createLabelActivities({
    log,
    project: 'p',
    registry: { watermark: () => Promise.resolve(watermark) },
    modelOf: () => ({ ...fraud.compiled, stallAfterMs }),
  } as unknown as ActivityDependencies);
/** Runs an activity; `onBeat` is called at its nth sign of life. */
const run = async <T>(act: () => Promise<T>, onBeat: (beat: number) => void = () => undefined): Promise<T> => {
  const environment = new MockActivityEnvironment();
  let beats = 0;
  environment.on('heartbeat', () => onBeat(++beats));
  return environment.run(act);
};

describe('waiting for labels', () => {
  test('ends with positives among requests made since the onset', async () => {
    await label({ at: ONSET, label: 1 }, { at: ONSET + 1, label: 0 }, { at: ONSET - 1, label: 1 });
    const waited = run(
      () => activities(60_000).awaitLabels('fraud', ONSET, 2),
      (beat) => {
        if (beat === 2) void label({ at: ONSET + 2, label: 1 });
      },
    );
    expect(await waited).toEqual({ kind: 'there', positives: 2 });
  });

  test('counts a request once, by the newest of its labels, and none that is censored', async () => {
    const at = ONSET;
    await label(
      // Corrected to a negative; to a positive; to another positive; withdrawn.
      { at, label: 1, revision: 0 },
      { at, label: 0, revision: 1, replaces: { label: 1, source: 'natural' } },
      { at, label: 0, revision: 0 },
      { at, label: 1, revision: 1, replaces: { label: 0, source: 'absence' } },
      { at, label: 1, revision: 0 },
      { at, label: 1, revision: 1, source: 'natural', replaces: { label: 1, source: 'natural' } },
      { at, label: 1, revision: 0 },
      { at, label: 1, revision: 1, source: 'censored', replaces: { label: 1, source: 'natural' } },
      { at, label: 1, revision: 0, source: 'censored' },
    );
    expect(await run(() => activities(1).awaitLabels('fraud', ONSET, 3))).toMatchObject({
      kind: 'stalled',
      positives: 2,
    });
  });

  test('is stalled when neither stream time nor labels go on', async () => {
    await label({ at: ONSET, label: 1 });
    expect(await run(() => activities(1).awaitLabels('fraud', ONSET, 2))).toEqual({
      kind: 'stalled',
      positives: 1,
      at: { streamTime: 500, outcomes: 1 },
      reason: 'stalled: stream time has not gone on for 1ms',
    });
  });

  test.each([
    ['stream time', () => void (watermark = 501)],
    ['a label', () => void label({ at: ONSET, label: 0 })],
  ])('goes on again with %s', async (_what, proceed) => {
    const since = { streamTime: watermark, outcomes: 0 };
    let beats = 0;
    await run(
      () => activities(1).awaitProgress('fraud', since),
      (beat) => {
        beats = beat;
        if (beat === 1) proceed();
      },
    );
    // It waited for that, and for nothing else.
    expect(beats).toBe(1);
  });

  test('that begins again after a stall counts all labels that there are', async () => {
    const stalled = await run(() => activities(1).awaitLabels('fraud', ONSET, 1));
    expect(stalled.kind).toBe('stalled');
    await label({ at: ONSET, label: 1 });
    expect(await run(() => activities(1).awaitLabels('fraud', ONSET, 1))).toEqual({ kind: 'there', positives: 1 });
  });
});
