import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Adwin } from '../../../models/drift/adwin.js';
import { sharedData } from '../../support/sharedData.js';

interface Detections {
  readonly params: { readonly delta: number; readonly clock: number };
  readonly drift_at: number[];
  readonly [key: string]: unknown;
}

const folder = sharedData('goldens', 'drift');
const series =
  folder === null
    ? {}
    : (JSON.parse(gunzipSync(readFileSync(`${folder}/series.json.gz`)).toString('utf8')) as Record<
        string,
        { x: number[] }
      >);
const golden =
  folder === null
    ? { series: {} }
    : (JSON.parse(readFileSync(`${folder}/detections.json`, 'utf8')) as {
        series: Record<string, Record<string, Detections>>;
      });

describe.skipIf(folder === null)('ADWIN detects what River detects', () => {
  const cases = Object.entries(golden.series).flatMap(([name, detectors]) =>
    Object.entries(detectors)
      .filter(([detector]) => detector.startsWith('ADWIN'))
      .map(([detector, expected]) => [name, detector, expected] as const),
  );
  test.each(cases)('%s, %s', (name, _detector, expected) => {
    const { delta, clock } = expected.params;
    const values = series[name]?.x ?? [];
    expect(values.length).toBeGreaterThan(1_000);
    const found: number[] = [];
    let adwin = new Adwin({ delta, clock });
    for (const [at, value] of values.entries()) {
      if (found.at(-1) === at - 1) adwin = new Adwin({ delta, clock });
      if (adwin.update(value)) found.push(at);
    }
    expect(found).toEqual(expected.drift_at);
  });

  test('there are such cases', () => {
    expect(cases.length).toBeGreaterThan(4);
  });

  test('encoding and decoding anywhere changes nothing', () => {
    const values = series['abrupt']?.x ?? [];
    let adwin = new Adwin();
    const straight = new Adwin();
    for (const [at, value] of values.entries()) {
      expect(adwin.update(value)).toBe(straight.update(value));
      if (at % 37 === 0) {
        const copy = new Adwin();
        copy.decode(JSON.parse(JSON.stringify(adwin.encode())) as ReturnType<Adwin['encode']>);
        adwin = copy;
      }
    }
  });
});
