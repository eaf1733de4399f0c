import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { averagePrecision, rocAuc } from '../../../models/metrics/ranking.js';
import { brier, calibrationError, logLoss } from '../../../models/metrics/probability.js';
import { sharedData } from '../../support/sharedData.js';

interface Case {
  readonly y: number[];
  readonly p: number[];
  readonly [metric: string]: unknown;
}

const file = sharedData('goldens', 'metrics', 'classification.json.gz');

describe.skipIf(file === null)('metrics are those of scikit-learn', () => {
  const parsed =
    file === null ? [] : (JSON.parse(gunzipSync(readFileSync(file)).toString('utf8')) as Case[] | { cases: Case[] });
  const cases = Array.isArray(parsed) ? parsed : parsed.cases;
  test.each([
    ['roc_auc', rocAuc],
    ['average_precision', averagePrecision],
    ['log_loss', logLoss],
    ['brier', brier],
    ['ece10', calibrationError],
  ] as const)('%s', (name, metric) => {
    expect(cases.length).toBeGreaterThan(20);
    for (const each of cases) {
      const expected = (each[name] ??
        (each['metrics'] as Record<string, unknown> | undefined)?.[name] ??
        (each['expected'] as Record<string, unknown> | undefined)?.[name]) as number | null;
      const found = metric(Float64Array.from(each.y), Float64Array.from(each.p));
      // Without positives the sum of precisions has nothing to add up; scikit-learn calls that undefined or 0.
      if (expected === null || expected === undefined || found === null) expect(found ?? 0).toBe(expected ?? 0);
      else expect(Math.abs(found - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)));
    }
  });
});
