import { expect, test } from 'vitest';
import { DAY_MS } from '../../../../contracts/duration.js';
import type { DriftRecord, OutcomeRecord } from '../../../../contracts/records.js';
import { PerformanceMonitor } from '../../../../models/drift/performanceMonitor.js';
import { seededRandom } from '../../../../models/statistics/random.js';

const MINUTE_MS = 60_000;
const OPTIONS = { model: 'fraud', labelDelayMs: 7 * DAY_MS, warmUp: 1_000 };

/** One request a minute with a score of 0.2; positives are one in five, and from `change` on every other one. */
function outcomes(change: number, count: number, positivesAfter: number): OutcomeRecord[] {
  const random = seededRandom('outcomes');
  return Array.from({ length: count }, (_, index) => ({
    id: index,
    at: index * MINUTE_MS,
    knownAt: index * MINUTE_MS + 7 * DAY_MS,
    model: 'fraud',
    version: 1,
    role: 'champion',
    epoch: 1,
    score: 0.2,
    label: random.next() < (index < change ? 0.2 : positivesAfter) ? 1 : 0,
    entity: index % 50,
    revision: 0,
  }));
}

test('a rise of the error is found, dated near its start, and the same after encoding anywhere', () => {
  const rows = outcomes(4_000, 6_000, 0.5);
  const straight = new PerformanceMonitor(OPTIONS);
  let encoded = new PerformanceMonitor(OPTIONS);
  const found: DriftRecord[] = [];
  rows.forEach((row, index) => {
    const records = straight.update(row);
    expect(encoded.update(row)).toEqual(records);
    found.push(...records);
    if (index % 97 === 0) {
      const state = JSON.parse(JSON.stringify(encoded.encode())) as ReturnType<PerformanceMonitor['encode']>;
      encoded = new PerformanceMonitor(OPTIONS);
      encoded.decode(state);
    }
  });
  const [first] = found;
  expect(first).toMatchObject({ source: 'performance/log_loss', sequence: 1, version: 1, detector: 'adwin' });
  expect(Math.abs((first?.onset ?? 0) - 4_000 * MINUTE_MS)).toBeLessThan(150 * MINUTE_MS);
  expect(first?.after).toBeGreaterThan(first?.before ?? Number.POSITIVE_INFINITY);
  expect(first?.statistic).toBeGreaterThan(first?.threshold ?? Number.POSITIVE_INFINITY);
});

test('neither a steady nor a falling error is drift', () => {
  for (const positivesAfter of [0.2, 0.02]) {
    const monitor = new PerformanceMonitor(OPTIONS);
    expect(outcomes(4_000, 6_000, positivesAfter).flatMap((row) => monitor.update(row))).toEqual([]);
  }
});
