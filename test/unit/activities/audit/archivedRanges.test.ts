import { beforeEach, describe, expect, test } from 'vitest';
import { archivedRanges, batchesOf, partsOf } from '../../../../activities/audit/archivedRanges.js';
import { isTidemillError } from '../../../../contracts/errors.js';
import type { ArchivedRange } from '../../../../stores/archive/archivedRanges.js';
import type { Log } from '../../../../stores/log/log.js';
import { createMemoryLog } from '../../../../stores/log/memoryLog.js';

const range = (first: number, last: number, rows = last - first + 1): ArchivedRange => {
  return { first, last, rows, files: [{ uri: `objects://${first}-${last}`, sha256: '' }] };
};

let log: Log;
beforeEach(async () => {
  log = createMemoryLog({ clock: () => 0 });
  await log.ensureTopics(['p.archive', 'p.events'].map((topic) => ({ topic, partitions: 1 })));
});

describe('where a partition is read', () => {
  test('is the archive up to its end, and then the log, each offset once', async () => {
    const producer = await log.producer();
    // An archive that was started anew holds the first ranges twice.
    const manifests = [range(0, 9), range(10, 14), range(0, 4), range(5, 14), range(15, 19)];
    await producer.send([
      ...manifests.map((each) => {
        return { topic: 'p.archive', key: 'k', value: JSON.stringify({ topic: 'p.events', partition: 0, ...each }) };
      }),
      { topic: 'p.archive', key: 'k', value: JSON.stringify({ topic: 'p.others', partition: 0, ...range(0, 99) }) },
    ]);
    const archived = await archivedRanges(log, 'p', new Set(['p.events']));
    expect([...archived.keys()]).toEqual(['p.events']);
    const [part] = await partsOf(log, 'p.events', archived.get('p.events'), { 0: 30 });
    expect(part).toMatchObject({ partition: 0, logFrom: 20, end: 30 });
    expect(part?.archived.map(({ first, last }) => [first, last])).toEqual([
      [0, 9],
      [5, 14],
      [15, 19],
    ]);
    // What overlaps is read by another query, which the offsets that were read keep apart.
    expect(batchesOf(part?.archived ?? []).map((batch) => batch.map(({ first }) => first))).toEqual([[0], [5, 15]]);
    const [early] = await partsOf(log, 'p.events', archived.get('p.events'), { 0: 12 });
    expect(early).toMatchObject({ logFrom: 12, end: 12 });
    expect(await partsOf(log, 'p.none', undefined, {})).toEqual([]);
  });

  test('is named where it is lost: neither archived nor retained', async () => {
    const truncated = {
      ...log,
      partitionCount: async () => 1,
      offsets: async () => [{ partition: 0, low: 50, high: 90 }],
    };
    const lost = await partsOf(truncated as unknown as Log, 'p.events', new Map([[0, [range(0, 19)]]]), {
      0: 90,
    }).catch((error: unknown) => error);
    expect(isTidemillError(lost, 'OFFSET_LOST')).toBe(true);
    expect((lost as Error).message).toBe('p.events-0: offsets 20 to 49 are neither in the archive nor in the log');
    const kept = await partsOf(truncated, 'p.events', new Map([[0, [range(0, 60)]]]), { 0: 90 });
    expect(kept).toMatchObject([{ logFrom: 61, end: 90 }]);
  });

  test('is read from the log where the archive has a gap, and named where the log does not have it either', async () => {
    const archived = new Map([[0, [range(0, 9), range(20, 29), range(30, 39)]]]);
    const starting = (low: number) =>
      ({
        ...log,
        partitionCount: async () => 1,
        offsets: async () => [{ partition: 0, low, high: 90 }],
      }) as unknown as Log;
    expect(await partsOf(starting(10), 'p.events', archived, { 0: 90 })).toMatchObject([
      { archived: [{ first: 0, last: 9 }], logFrom: 10, end: 90 },
    ]);
    for (const [low, named] of [
      [15, '10 to 14'],
      [35, '10 to 19'],
    ] as const)
      await expect(partsOf(starting(low), 'p.events', archived, { 0: 90 })).rejects.toMatchObject({
        code: 'OFFSET_LOST',
        message: `p.events-0: offsets ${named} are neither in the archive nor in the log`,
      });
    expect(await partsOf(starting(35), 'p.events', archived, { 0: 8 })).toMatchObject([{ logFrom: 8, end: 8 }]);
  });

  test('takes so many rows at a time', () => {
    const big = [range(0, 1, 600_000), range(2, 3, 600_000), range(4, 5, 100), { ...range(6, 7), files: [] }];
    expect(batchesOf(big).map((batch) => batch.map(({ first }) => first))).toEqual([[0], [2, 4]]);
  });
});
