import { describe, expect, test } from 'vitest';
import type { OutcomeRecord } from '../../../../contracts/records.js';
import { ChampionLosses } from '../../../../models/drift/championLosses.js';
import { decodeLosses, encodeLosses } from '../../../../models/drift/lossColumns.js';
import { LossDetector } from '../../../../models/drift/lossDetector.js';
import { seededRandom } from '../../../../models/statistics/random.js';
import { LossSeries } from '../../../support/lossSeries.js';

const DAY = 86_400_000;
const CHANGE = 20 * DAY;

/** 2,000 requests a day; from the change on one in a hundred is a positive that the model does not see. */
function outcomes(seed: number, days: number, changes: boolean): OutcomeRecord[] {
  const random = seededRandom(seed);
  return Array.from({ length: days * 2_000 }, (_, id): OutcomeRecord => {
    const at = Math.floor((id * DAY) / 2_000);
    const known = random.next() < 0.008;
    const unseen = changes && at >= CHANGE && random.next() < 0.012;
    const score = known ? 0.7 : 0.003;
    return {
      id,
      at,
      knownAt: at + 7 * DAY,
      model: 'm',
      version: 1,
      role: 'champion',
      epoch: 1,
      score,
      arm: 'champion',
      others: [],
      label: known || unseen ? 1 : 0,
      entity: null,
      revision: 0,
      source: 'natural',
    };
  });
}

function detect(monitor: LossSeries, rows: readonly OutcomeRecord[]) {
  return rows.flatMap((row) => monitor.update(row, Number(row.id) % 4));
}

describe('the detector of losses', () => {
  test('finds a change once, and dates it', () => {
    const found = detect(new LossSeries(), outcomes(1, 40, true));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ source: 'performance/log_loss', sequence: 1, version: 1 });
    expect(Math.abs((found[0]?.onset ?? 0) - CHANGE)).toBeLessThan(4 * DAY);
    expect(found[0]?.after).toBeGreaterThan(found[0]?.before as number);
  });

  test('stays silent while nothing changes', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      expect(detect(new LossSeries(), outcomes(seed, 40, false))).toEqual([]);
    }
  });

  test('judges the champion’s own scores through a canary, whoever served', () => {
    const rows = outcomes(1, 40, true);
    const straight = detect(new LossSeries(), rows);
    // Half of the requests are served by a challenger that sees nothing, some by a fallback as well.
    const canary = rows.map((row): OutcomeRecord => {
      if (Number(row.id) % 2 === 0) return { ...row, others: [{ version: 2, score: 0.5 }] };
      const others = [{ version: row.version, score: row.score }];
      return { ...row, version: 2, role: 'challenger', arm: 'challenger', score: 0.5, others };
    });
    const fallback = rows.map((row): OutcomeRecord => ({ ...row, id: `f${row.id}`, version: 0, role: 'fallback' }));
    const first = rows.map((row): OutcomeRecord => ({
      ...row,
      id: `c${row.id}`,
      version: 2,
      role: 'challenger',
      others: [{ version: 0, score: row.score }],
    }));
    const mixed = canary.flatMap((row, at) => [row, fallback[at] as OutcomeRecord, first[at] as OutcomeRecord]);
    const monitor = new LossSeries();
    const found = mixed.flatMap((row) => monitor.update(row, Number(String(row.id).replace(/\D/, '')) % 4));
    expect(straight).toHaveLength(1);
    expect(found).toEqual(straight);
  });

  // Found by one fold of all outcomes in one task, before partitions closed their buckets by themselves.
  test.each([
    [1, 1_728_000_000, 2_385_600_000, 0.007_257_176_988_109_635_5, 0.007_894_883_745_954],
    [2, 1_729_800_000, 2_380_200_000, 0.007_845_718_698_375_368, 0.010_767_148_013_724_616],
    [3, 1_726_800_000, 2_368_800_000, 0.007_331_818_957_185_067, 0.007_724_284_884_214_977],
  ])('finds in the series of seed %i what it always found', (seed, onset, detectedAt, before, after) => {
    const found = detect(new LossSeries(), outcomes(seed, 60, true));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ onset, detectedAt, before, after });
  });

  test('leaves out what comes after its partition has closed the bucket, however far the others are', () => {
    const rows = outcomes(1, 40, true);
    const late = rows
      .slice(0, 40)
      .map((row): OutcomeRecord => ({ ...row, id: `late-${row.id}`, label: 1, score: 0.01 }));
    const found = [0, 3].map((behind) => {
      const series = new LossSeries();
      const [others, own] = [
        rows.filter(({ id }) => Number(id) % 4 !== behind),
        rows.filter(({ id }) => Number(id) % 4 === behind),
      ];
      const first = detect(series, others);
      expect(late.flatMap((row) => series.update(row, 1))).toEqual([]);
      return [...first, ...detect(series, own)];
    });
    expect(found[0]).toHaveLength(1);
    expect(found).toEqual([detect(new LossSeries(), rows), found[0]]);
  });

  test('counts what it finds under a source of its own where it begins in the midst of the series', () => {
    const rows = outcomes(1, 40, true);
    const partition = new ChampionLosses(7 * DAY);
    const detector = new LossDetector({ model: 'm', generation: 2, labelDelayMs: 7 * DAY, partitions: 1 });
    const found = rows.flatMap((row, at) => {
      const closed = partition.take(row);
      // What its partition closed of the first day went to the generation before.
      if (closed === null || at < 9 * 2_000) return [];
      const bytes = encodeLosses(
        { upstream: 0, knownUpTo: closed.knownUpTo, from: closed.from, isIdle: false },
        closed.rows,
      );
      return detector.take(decodeLosses(bytes), bytes);
    });
    expect(found).toMatchObject([{ source: 'performance/log_loss/g2', sequence: 1 }]);
  });

  test('does not depend on how the partitions mix: one may be a day behind', () => {
    const rows = outcomes(1, 40, true);
    const behind = (row: OutcomeRecord): number => row.knownAt + (Number(row.id) % 4 === 3 ? DAY : 0);
    const mixed = [...rows].sort((a, b) => behind(a) - behind(b));
    const [straight, other] = [rows, mixed].map((each) => detect(new LossSeries(), each));
    expect(straight).toHaveLength(1);
    expect(other).toEqual(straight);
  });

  test('waits for no partition that is idle, and counts what comes from it late, of the version that it watches', () => {
    const rows = outcomes(1, 40, true);
    const isSilent = ({ id }: OutcomeRecord): boolean => Number(id) % 4 === 3;
    const [others, silent] = [rows.filter((row) => !isSilent(row)), rows.filter(isSilent)];
    const half = others.length / 2;
    const waiting = new LossSeries();
    expect(detect(waiting, others)).toEqual([]);
    expect(waiting.silence(3)).toMatchObject([{ sequence: 1, version: 1 }]);

    // Rows of another version, which the others have left behind, start nothing anew.
    const series = new LossSeries();
    const passed = silent.filter(({ at }) => at < 19 * DAY);
    const before = passed.map((row): OutcomeRecord => ({ ...row, version: 7, id: `b${row.id}` }));
    const found = [
      ...series.silence(3),
      ...detect(series, others.slice(0, half)),
      ...before.flatMap((row) => series.update(row, 3)),
      ...series.silence(3),
      ...detect(series.restored(), others.slice(half)),
    ];
    const alone = new LossSeries();
    alone.silence(3);
    expect(found).toEqual(detect(alone, others));
    expect(found).toHaveLength(1);

    // Those of the version count: more of them, and the change is seen in the same place, within its bucket.
    const late = new LossSeries();
    late.silence(3);
    const seen = [...detect(late, others), ...detect(late, silent)];
    expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, at) => at + 1));
    expect(seen[0]).toEqual(found[0]);
  });

  test('goes on from its encoded state as if nothing had happened', () => {
    const rows = outcomes(1, 40, true);
    let monitor = new LossSeries();
    const found = [];
    for (let at = 0; at < rows.length; at += 9_973) {
      found.push(...detect(monitor, rows.slice(at, at + 9_973)));
      monitor = monitor.restored();
    }
    expect(found).toEqual(detect(new LossSeries(), rows));
  });
});
