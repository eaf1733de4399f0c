import { describe, expect, test } from 'vitest';
import type { OutcomeRecord } from '../../../../contracts/records.js';
import { PerformanceMonitor } from '../../../../models/drift/performanceMonitor.js';
import { seededRandom } from '../../../../models/statistics/random.js';

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

function detect(monitor: PerformanceMonitor, rows: readonly OutcomeRecord[]) {
  return rows.flatMap((row) => monitor.update(row, Number(row.id) % 4));
}

describe('the performance monitor', () => {
  test('finds a change once, and dates it', () => {
    const found = detect(
      new PerformanceMonitor({ model: 'm', labelDelayMs: 7 * DAY, partitions: 4 }),
      outcomes(1, 40, true),
    );
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ source: 'performance/log_loss', sequence: 1, version: 1 });
    expect(Math.abs((found[0]?.onset ?? 0) - CHANGE)).toBeLessThan(4 * DAY);
    expect(found[0]?.after).toBeGreaterThan(found[0]?.before as number);
  });

  test('stays silent while nothing changes', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      expect(
        detect(new PerformanceMonitor({ model: 'm', labelDelayMs: 7 * DAY, partitions: 4 }), outcomes(seed, 40, false)),
      ).toEqual([]);
    }
  });

  test('judges the champion’s own scores through a canary, whoever served', () => {
    const rows = outcomes(1, 40, true);
    const straight = detect(new PerformanceMonitor({ model: 'm', labelDelayMs: 7 * DAY, partitions: 4 }), rows);
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
    const monitor = new PerformanceMonitor({ model: 'm', labelDelayMs: 7 * DAY, partitions: 4 });
    const found = mixed.flatMap((row) => monitor.update(row, Number(String(row.id).replace(/\D/, '')) % 4));
    expect(straight).toHaveLength(1);
    expect(found).toEqual(straight);
  });

  test('does not depend on how the partitions mix: one may be a day behind', () => {
    const rows = outcomes(1, 40, true);
    const behind = (row: OutcomeRecord): number => row.knownAt + (Number(row.id) % 4 === 3 ? DAY : 0);
    const mixed = [...rows].sort((a, b) => behind(a) - behind(b));
    const [straight, other] = [rows, mixed].map((each) =>
      detect(new PerformanceMonitor({ model: 'm', labelDelayMs: 7 * DAY, partitions: 4 }), each),
    );
    expect(other?.map(({ onset }) => onset)).toEqual(straight?.map(({ onset }) => onset));
  });

  test('goes on from its encoded state as if nothing had happened', () => {
    const rows = outcomes(1, 40, true);
    let monitor = new PerformanceMonitor({ model: 'm', labelDelayMs: 7 * DAY, partitions: 4 });
    const found = [];
    for (let at = 0; at < rows.length; at += 9_973) {
      found.push(...detect(monitor, rows.slice(at, at + 9_973)));
      const copy = new PerformanceMonitor({ model: 'm', labelDelayMs: 7 * DAY, partitions: 4 });
      copy.decode(JSON.parse(JSON.stringify(monitor.encode())) as ReturnType<PerformanceMonitor['encode']>);
      monitor = copy;
    }
    expect(found).toEqual(detect(new PerformanceMonitor({ model: 'm', labelDelayMs: 7 * DAY, partitions: 4 }), rows));
  });
});
