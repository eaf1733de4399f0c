import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { averagePrecision, rocAuc } from '../../../models/metrics/ranking.js';
import { brier, calibrationError, logLoss } from '../../../models/metrics/probability.js';
import { sharedData } from '../../support/sharedData.js';

interface Case {
  readonly y: number[];
  readonly p: number[];
  readonly expected: Readonly<Record<string, unknown>>;
}

const file = sharedData('goldens', 'metrics', 'classification.json.gz');

describe.skipIf(file === null)('metrics are those of scikit-learn', () => {
  const cases =
    file === null ? [] : (JSON.parse(gunzipSync(readFileSync(file)).toString('utf8')) as { cases: Case[] }).cases;
  test.each([
    ['roc_auc', rocAuc],
    ['average_precision', averagePrecision],
    ['log_loss', logLoss],
    ['brier', brier],
    ['ece10', calibrationError],
  ] as const)('%s', (name, metric) => {
    expect(cases.length).toBeGreaterThan(20);
    for (const each of cases) {
      const expected = each.expected[name] as number | null;
      const found = metric(Float64Array.from(each.y), Float64Array.from(each.p));
      if (expected === null) expect(found).toBeNull();
      else expect(Math.abs((found as number) - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)));
    }
  });
});
