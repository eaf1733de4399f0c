import { expect, test } from 'vitest';
import { dailyReports, type BucketReport } from '../../../../models/monitoring/dailyReports.js';
import { OutcomeCounts } from '../../../../models/monitoring/outcomeCounts.js';
import { PredictionCounts } from '../../../../models/monitoring/predictionCounts.js';

const HOUR = 3_600_000;
const NEW_YEAR = Date.parse('2026-01-01T00:00:00Z');

function report(
  hour: number,
  version: number,
  scores: readonly number[],
  more: Partial<BucketReport> = {},
): BucketReport {
  const [predictions, outcomes] = [new PredictionCounts(), new OutcomeCounts()];
  for (const score of scores) {
    predictions.addOther({ score, decision: score > 0.5 ? 'block' : 'allow' });
    outcomes.add(score, score > 0.5 ? 1 : 0, 'natural', 1);
  }
  const from = NEW_YEAR + hour * HOUR;
  const counts = { predictions: predictions.encode(), outcomes: outcomes.encode() };
  return { version, role: 'champion', from, to: from + HOUR, generation: 1, revision: 0, counts, ...more };
}

test('days are sums of their buckets, by version and role, the newest revision of each', () => {
  const reports = [
    report(23, 2, [0.9], { role: 'challenger' }),
    report(25, 1, [0.3]),
    report(23, 1, [0.1, 0.9, 0.9]),
    report(0, 1, [0.2, 0.9, 0.9], { revision: 3 }),
    report(0, 1, [0.2], { revision: 1 }),
    report(1, 1, [0.4], { counts: { predictions: null, outcomes: null } }),
  ];
  const days = dailyReports('fraud', reports, () => null);
  expect(
    days.map(({ from, to, version, role, predictions, outcomes }) => [
      from.slice(0, 10),
      to.slice(0, 10),
      version,
      role,
      predictions?.rows,
      predictions?.decisionShares,
      outcomes?.positives,
    ]),
  ).toEqual([
    ['2026-01-01', '2026-01-02', 1, 'champion', 6, { allow: 1 / 3, block: 2 / 3 }, 4],
    ['2026-01-01', '2026-01-02', 2, 'challenger', 1, { block: 1 }, 1],
    ['2026-01-02', '2026-01-03', 1, 'champion', 1, { allow: 1 }, 0],
  ]);
  expect(days[0]?.outcomes?.brier).toBeCloseTo((0.2 ** 2 + 0.1 ** 2 * 5) / 6, 6);
});

test('of either part the newest that there is counts: a generation that was reset tells of what it knows whole', () => {
  const before = report(0, 1, [0.1, 0.9], { revision: 2 });
  const { outcomes } = report(0, 1, [0.9, 0.9, 0.9]).counts;
  const after = report(0, 1, [], { generation: 2, counts: { predictions: null, outcomes } });
  expect(dailyReports('fraud', [after, before], () => null)).toMatchObject([
    { predictions: { rows: 2 }, outcomes: { rows: 3, positives: 3 } },
  ]);
});

test('a part that no bucket of the day has is null', () => {
  const without = { counts: { predictions: null, outcomes: new OutcomeCounts().encode() } };
  expect(dailyReports('fraud', [report(0, 1, [], without)], () => null)).toMatchObject([
    { predictions: null, outcomes: { rows: 0, labelRate: null } },
  ]);
  expect(dailyReports('fraud', [], () => null)).toEqual([]);
});
