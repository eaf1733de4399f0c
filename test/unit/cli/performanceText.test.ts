import { expect, test } from 'vitest';
import { performanceText } from '../../../cli/performanceText.js';
import type { PerformanceRow } from '../../../contracts/performanceReport.js';

const row = (day: number, version: number, given: Partial<PerformanceRow>): PerformanceRow => ({
  model: 'fraud',
  version,
  role: 'champion',
  from: `2026-01-0${day}T00:00:00.000Z`,
  to: `2026-01-0${day + 1}T00:00:00.000Z`,
  predictions: null,
  outcomes: null,
  ...given,
});

const predictions = {
  rows: 1_200,
  served: 1_200,
  failed: 0,
  decisionShares: { allow: 0.987_654, block: 0.012_346 },
  scoreQuantiles: { p5: 0.001, p25: 0.01, p50: 0.02, p75: 0.1, p95: 0.4, p99: 0.9 },
  nullRates: { 'terminal_risk.risk_1d': 0.25 },
};

test('a table for each day has the versions side by side', () => {
  const outcomes = {
    rows: 90,
    bySource: { natural: 80, absence: 10, censored: 3 },
    positives: 9,
    labelRate: 0.1,
    logLoss: 0.234_567,
    brier: 0.05,
    calibrationError: 0.012_3,
  };
  const text = performanceText('fraud', [
    row(1, 3, { predictions, outcomes }),
    row(1, 4, {
      role: 'challenger',
      predictions: { ...predictions, served: 0, decisionShares: { allow: 1 }, nullRates: {} },
    }),
    row(2, 0, { role: 'fallback', outcomes: { ...outcomes, rows: 0, logLoss: null } }),
  ]);
  expect(text).toBe(
    `2026-01-01                   3 champion  4 challenger
rows                         1200        1200
served                       1200        0
failed                       0           0
share allow                  0.9877      1
share block                  0.01235
score p5                     0.001       0.001
score p25                    0.01        0.01
score p50                    0.02        0.02
score p75                    0.1         0.1
score p95                    0.4         0.4
score p99                    0.9         0.9
nulls terminal_risk.risk_1d  0.25
labelled                     90
labels natural               80
labels absence               10
labels censored              3
positives                    9
label rate                   0.1
log loss                     0.2346
Brier score                  0.05
calibration error            0.0123

2026-01-02         rules fallback
labelled           0
labels natural     80
labels absence     10
labels censored    3
positives          9
label rate         0.1
log loss
Brier score        0.05
calibration error  0.0123`,
  );
});

test('where there is nothing, it says so', () => {
  expect(performanceText('fraud', [])).toBe('no reports on fraud in that time');
});
