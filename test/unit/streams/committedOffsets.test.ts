import { expect, test } from 'vitest';
import type { CommittedOffset, Log } from '../../../stores/log/log.js';
import type { RuntimeClock } from '../../../streams/runtime/clock.js';
import { committedOffsets } from '../../../streams/runtime/committedOffsets.js';

const PLACES = [{ topic: 'orders', partition: 0 }];
const MEMBER = { name: 'one', host: 'here', address: null, partitions: PLACES };
const clock: RuntimeClock = {
  now: () => 0,
  turn: () => Promise.resolve(),
  wait: () => ({ over: Promise.resolve(), end: () => undefined }),
};

/** A coordinator that has loaded nothing of the group until it has been asked so often. */
function coordinator(
  offset: number | null,
  loadedAfter: number,
): Pick<Log, 'committed' | 'groupMembers'> & { asked: number } {
  const log = {
    asked: 0,
    committed: async (): Promise<readonly CommittedOffset[]> => {
      const isLoaded = ++log.asked > loadedAfter;
      return PLACES.map((place) => ({ ...place, offset: isLoaded ? offset : null, metadata: '' }));
    },
    groupMembers: async () => (++log.asked > loadedAfter ? [MEMBER] : []),
  };
  return log;
}

test('offsets that are there are believed at once', async () => {
  const log = coordinator(12, 0);
  expect(await committedOffsets(log, 'g', PLACES, clock)).toMatchObject([{ offset: 12 }]);
  expect(log.asked).toBe(1);
});

test('a coordinator that knows no member of the group is asked again', async () => {
  expect(await committedOffsets(coordinator(12, 7), 'g', PLACES, clock)).toMatchObject([{ offset: 12 }]);
});

test('that there are none is believed of one that knows the members', async () => {
  expect(await committedOffsets(coordinator(null, 3), 'g', PLACES, clock)).toMatchObject([{ offset: null }]);
});

test('one that never knows a member is not believed', async () => {
  await expect(committedOffsets(coordinator(12, 1e9), 'g', PLACES, clock)).rejects.toMatchObject({
    code: 'LOG_UNAVAILABLE',
  });
});
