import { describe, expect, test } from 'vitest';
import { SourceRanges } from '../../../streams/blocks/sourceRanges.js';
import { Upstreams } from '../../../streams/blocks/upstreams.js';

const said = (
  upstream: number,
  watermark: number | null,
  progress: number | null,
  isIdle = false,
  isLagging = false,
) => {
  return { upstream, watermark, progress, isIdle, isLagging };
};

describe('upstream tasks', () => {
  test('that have not been heard of hold up everything, and may have anything yet to read', () => {
    const upstreams = new Upstreams(2);
    upstreams.observe(said(0, 90, 100));
    expect([upstreams.watermark, upstreams.progress]).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect([upstreams.isIdle, upstreams.isLagging]).toEqual([false, true]);
  });

  test('that are idle hold up what is forgotten, and nobody who waits', () => {
    const upstreams = new Upstreams(3);
    upstreams.observe(said(0, 90, 100));
    upstreams.observe(said(1, 10, 20, true));
    upstreams.observe(said(2, 60, 70));
    expect(upstreams).toMatchObject({
      watermark: 10,
      activeWatermark: 60,
      progress: 70,
      isIdle: false,
      isLagging: false,
    });
    upstreams.observe(said(1, 15, 25));
    expect(upstreams).toMatchObject({ watermark: 15, activeWatermark: 15, progress: 25 });
  });

  test('that are all idle have come as far as the first of them', () => {
    const upstreams = new Upstreams(2);
    upstreams.observe(said(0, 90, 100, true));
    upstreams.observe(said(1, null, null, true));
    expect(upstreams).toMatchObject({
      watermark: Number.NEGATIVE_INFINITY,
      activeWatermark: 90,
      progress: 100,
      isIdle: true,
    });
  });

  test('never go back, and lag for as long as one of them says so', () => {
    const upstreams = new Upstreams(1);
    upstreams.observe(said(0, 90, 100, false, true));
    upstreams.observe(said(0, 80, null, false, true));
    expect(upstreams).toMatchObject({ watermark: 90, progress: 100, isLagging: true });
    upstreams.observe(said(0, 90, 100));
    expect(upstreams.isLagging).toBe(false);
  });

  test('are kept in snapshots, those of before progress was announced included', () => {
    const upstreams = new Upstreams(3);
    upstreams.observe(said(0, 90, 100, true));
    upstreams.observe(said(2, 60, 70, false, true));
    const restored = new Upstreams(3);
    restored.decode(JSON.parse(JSON.stringify(upstreams.encode())) as ReturnType<Upstreams['encode']>);
    expect(restored).toEqual(upstreams);
    const old = new Upstreams(2);
    old.decode([60, 80]);
    expect(old).toMatchObject({ watermark: 60, progress: Number.NEGATIVE_INFINITY, isLagging: false });
  });
});

describe('source ranges', () => {
  const rows = (...offsets: number[]) =>
    offsets.map((offset) => ({ offset, values: [], vector: new Float64Array(0), replay: null }));

  test('grow by what blocks say that they cover, rows or not', () => {
    const ranges = new SourceRanges();
    ranges.observe({ sourcePartition: 1, sourceRange: [15, 24], rows: rows(17, 21) });
    ranges.observe({ sourcePartition: 1, sourceRange: [24, 30], rows: [] });
    ranges.observe({ sourcePartition: 0, sourceRange: null, rows: [] });
    ranges.observe({ sourcePartition: 2, sourceRange: null, rows: rows(3, 8) });
    expect(ranges.folded(null)).toEqual({ 1: [15, 30], 2: [3, 9] });
  });

  test('of a request’s own partition end with the request where rows are answered in their turn', () => {
    const ranges = new SourceRanges();
    ranges.observe({ sourcePartition: 1, sourceRange: [15, 24], rows: [] });
    ranges.observe({ sourcePartition: 2, sourceRange: [0, 7], rows: [] });
    expect(ranges.folded(1)).toEqual({ 1: [15, null], 2: [0, 7] });
  });
});
