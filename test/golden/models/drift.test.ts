import { describe, expect, test } from 'vitest';
import { createAdwin, decodeAdwin } from '../../../models/drift/adwin.js';
import type { ChangeDetector } from '../../../models/drift/detector.js';
import { createPageHinkley, decodePageHinkley } from '../../../models/drift/pageHinkley.js';
import { golden, hasGoldens } from './goldens.js';

interface Recorded {
  readonly params: Readonly<Record<string, number | string>>;
  readonly drift_at: readonly number[];
  readonly snapshots_index_width_total_variance_estimation?: readonly (readonly number[])[];
}

const present = hasGoldens('drift');
const series = present ? golden<Record<string, { x: number[] }>>('drift', 'series.json.gz') : {};
const detections = present
  ? golden<{ series: Record<string, Record<string, Recorded>> }>('drift', 'detections.json').series
  : {};

function recorded(kind: string): [string, string, Recorded][] {
  return Object.entries(detections).flatMap(([name, detectors]) =>
    Object.entries(detectors)
      .filter(([detector]) => detector.startsWith(kind))
      .map(([detector, record]): [string, string, Recorded] => [name, detector, record]),
  );
}

/** Indices at which a detector fires; encodes and decodes it on the way. */
function run<T extends ChangeDetector>(
  values: readonly number[],
  detector: T,
  decode: (bytes: Uint8Array) => T,
  visit: (index: number, detector: T) => void = () => undefined,
): number[] {
  const fired: number[] = [];
  let current = detector;
  values.forEach((value, index) => {
    const detected = current.update(value);
    if (detected) fired.push(index);
    expect(current.detection?.index ?? null).toBe(detected ? index : null);
    if (index % 777 === 0 || detected) current = decode(current.encode());
    visit(index, current);
  });
  return fired;
}

describe.skipIf(!present)('ADWIN detects what River detects, encoded and decoded on the way', () => {
  test.for(recorded('ADWIN'))('%s, %s', ([name, , record]) => {
    const { params } = record;
    const adwin = createAdwin({
      delta: params['delta'] as number,
      clock: params['clock'] as number,
      maxBuckets: params['max_buckets'] as number,
      minWindowLength: params['min_window_length'] as number,
      gracePeriod: params['grace_period'] as number,
    });
    const snapshots = new Map(
      (record.snapshots_index_width_total_variance_estimation ?? []).map((row) => [row[0], row.slice(1)]),
    );
    let compared = 0;
    const fired = run(series[name]?.x ?? [], adwin, decodeAdwin, (index, { width, total, variance, mean }) => {
      const [goldenWidth, goldenTotal, goldenVariance, goldenMean] = snapshots.get(index) ?? [];
      if (goldenWidth === undefined) return;
      compared++;
      expect(width, `width at ${index}`).toBe(goldenWidth);
      expectRelative(total, goldenTotal as number, 1e-9);
      expectRelative(variance, goldenVariance as number, 1e-6);
      expectRelative(mean, goldenMean as number, 1e-9);
    });
    expect(fired).toEqual(record.drift_at);
    expect(compared).toBe(snapshots.size);
    expect(compared).toBeGreaterThan(0);
  });
});

describe.skipIf(!present)('Page-Hinkley detects what River detects, encoded and decoded on the way', () => {
  test.for(recorded('PageHinkley'))('%s, %s', ([name, , record]) => {
    const { params } = record;
    const test = createPageHinkley({
      minInstances: params['min_instances'] as number,
      delta: params['delta'] as number,
      threshold: params['threshold'] as number,
      alpha: params['alpha'] as number,
      mode: params['mode'] as 'up' | 'down' | 'both',
    });
    expect(run(series[name]?.x ?? [], test, decodePageHinkley)).toEqual(record.drift_at);
  });
});

describe.skipIf(!present)('the onset of a sudden change', () => {
  test.for([
    ['docstring_adwin', [1000]],
    ['abrupt', [2000, 3500]],
    ['bernoulli_abrupt', [2500, 4000]],
  ] as const)('%s: the cut of ADWIN lies near it', ([name, changes]) => {
    const adwin = createAdwin();
    const onsets: number[] = [];
    for (const value of series[name]?.x ?? []) {
      adwin.update(value);
      if (adwin.detection !== null) onsets.push(adwin.detection.onset);
    }
    expect(onsets).toHaveLength(changes.length);
    changes.forEach((change, index) => {
      expect(Math.abs((onsets[index] as number) - change), `${onsets[index]} for ${change}`).toBeLessThanOrEqual(40);
    });
  });
});

function expectRelative(actual: number, expected: number, tolerance: number): void {
  expect(Math.abs(actual - expected), `${actual} for ${expected}`).toBeLessThanOrEqual(
    tolerance * Math.max(Math.abs(expected), 1e-300),
  );
}
