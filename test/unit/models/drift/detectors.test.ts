import { describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { createAdwin, decodeAdwin } from '../../../../models/drift/adwin.js';
import type { ChangeDetector } from '../../../../models/drift/detector.js';
import { createPageHinkley, decodePageHinkley } from '../../../../models/drift/pageHinkley.js';
import { seededRandom } from '../../../../models/statistics/random.js';

const kinds: readonly [string, () => ChangeDetector, (bytes: Uint8Array) => ChangeDetector][] = [
  ['ADWIN', () => createAdwin({ clock: 8 }), decodeAdwin],
  ['Page-Hinkley', () => createPageHinkley({ threshold: 5 }), decodePageHinkley],
];

/** Mean 0.1, then 0.5 from index 1,000. */
function series(): number[] {
  const random = seededRandom('series');
  return Array.from({ length: 1_500 }, (_, index) => (index < 1_000 ? 0.1 : 0.5) + 0.05 * random.normal());
}

describe.for(kinds)('%s', ([, create, decode]) => {
  test('finds a sudden change, where it was and between which means', () => {
    const detector = create();
    const found = series().flatMap((value) =>
      detector.update(value) && detector.detection ? [detector.detection] : [],
    );
    expect(found).toHaveLength(1);
    const [detection] = found;
    expect(detection?.index).toBeGreaterThanOrEqual(1_000);
    expect(detection?.index).toBeLessThan(1_050);
    expect(Math.abs((detection?.onset ?? 0) - 1_000)).toBeLessThanOrEqual(8);
    expect(detection?.before).toBeCloseTo(0.1, 1);
    expect(detection?.after).toBeGreaterThan(0.35);
    expect(detection?.statistic).toBeGreaterThan(detection?.threshold ?? Number.POSITIVE_INFINITY);
  });

  test('decoded at any place it goes on as if nothing had happened', () => {
    const values = series();
    for (const place of [0, 1, 37, 999, 1_010, 1_499]) {
      const straight = create();
      let decoded = create();
      values.forEach((value, index) => {
        if (index === place) decoded = decode(decoded.encode());
        const detected = straight.update(value);
        expect(decoded.update(value)).toBe(detected);
        if (detected) decoded = decode(decoded.encode());
        expect(decoded.detection).toEqual(straight.detection);
      });
      expect(decoded.encode()).toEqual(straight.encode());
      expect(decoded.count).toBe(values.length);
    }
  });

  test('changed, cut and foreign bytes are refused', () => {
    const detector = create();
    for (const value of series().slice(0, 100)) detector.update(value);
    const bytes = detector.encode();
    const flipped = Uint8Array.from(bytes);
    flipped[20] = (flipped[20] as number) ^ 4;
    const other = kinds
      .find(([, , each]) => each !== decode)?.[1]()
      .encode() as Uint8Array;
    for (const wrong of [flipped, bytes.subarray(0, -8), bytes.subarray(1), new Uint8Array(0), other]) {
      try {
        decode(wrong);
        expect.unreachable();
      } catch (error) {
        expect(isTidemillError(error, 'STATE_CORRUPT')).toBe(true);
      }
    }
    // Bytes inside a larger buffer are read where they are.
    const framed = new Uint8Array(bytes.length + 3);
    framed.set(bytes, 3);
    expect(decode(framed.subarray(3)).encode()).toEqual(bytes);
  });
});

test.for([
  ['delta', () => createAdwin({ delta: 0 })],
  ['clock', () => createAdwin({ clock: 0.5 })],
  ['threshold', () => createPageHinkley({ threshold: 0 })],
  ['alpha', () => createPageHinkley({ alpha: 1.5 })],
] as const)('%s out of range is refused', ([name, create]) => {
  expect(create).toThrow(new RegExp(`\\.${name}:`));
});
