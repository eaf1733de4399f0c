import { describe, expect, test } from 'vitest';
import type { ReportRecord } from '../../../../contracts/performanceReport.js';
import type { OutcomeRecord } from '../../../../contracts/records.js';
import { BucketTally } from '../../../../models/monitoring/bucketTally.js';
import {
  countBlocks,
  parseCountBlock,
  standingBlocks,
  type CountBlock,
} from '../../../../models/monitoring/countBlock.js';
import { countOutcome, countPrediction } from '../../../../models/monitoring/countRecord.js';
import { decodeOutcomeCounts, OutcomeCounts } from '../../../../models/monitoring/outcomeCounts.js';
import { decodePredictionCounts, PredictionCounts } from '../../../../models/monitoring/predictionCounts.js';
import { ReportMerger } from '../../../../models/monitoring/reportMerger.js';
import { seededRandom } from '../../../../models/statistics/random.js';
import { predictionOf } from '../../../support/predictions.js';

const HOUR = 3_600_000;
const PARTITIONS = 3;

const options = {
  model: 'fraud',
  generation: 1,
  partitions: PARTITIONS,
  bucketMs: HOUR,
  keptBuckets: 48,
  columnsOf: () => null,
};

function outcomeOf(given: Partial<OutcomeRecord>): OutcomeRecord {
  return {
    id: 1,
    at: 0,
    knownAt: 0,
    model: 'fraud',
    version: 1,
    role: 'champion',
    epoch: 1,
    score: 0.25,
    arm: 'champion',
    others: [],
    label: 0,
    entity: null,
    revision: 0,
    source: 'natural',
    ...given,
  };
}

function tallies(delayMs: number) {
  const predictions = new BucketTally({
    bucketMs: HOUR,
    delayMs: 0,
    create: () => new PredictionCounts(),
    decode: decodePredictionCounts,
  });
  const outcomes = new BucketTally({
    bucketMs: HOUR,
    delayMs,
    create: () => new OutcomeCounts(),
    decode: decodeOutcomeCounts,
  });
  return { predictions, outcomes };
}

/** What a partition sends of random predictions and of their outcomes, two hours later and now and then much later. */
function blocksOf(partition: number, seed: number): CountBlock[] {
  const random = seededRandom(`${seed}/${partition}`);
  const { predictions, outcomes } = tallies(2 * HOUR);
  const blocks: CountBlock[] = [];
  const about = { bucketMs: HOUR, upstream: partition };
  for (let row = 0; row < 300; row++) {
    const now = (row * HOUR) / 10 + (random.next() < 0.02 ? 3 * HOUR : 0);
    const at = now - (random.next() < 0.1 ? random.below(8) * HOUR : 0);
    const score = random.next();
    const others = [
      { version: 2, role: 'challenger' as const, score: random.next(), decision: 'block', micros: 1, problem: null },
    ];
    countPrediction(predictions, predictionOf({ at, score, others, decision: score > 0.5 ? 'block' : 'allow' }));
    const closed = predictions.advance(at);
    if (closed !== null) blocks.push(...countBlocks({ ...about, of: 'predictions' }, closed));
    const requestedAt = Math.max(0, now - 2 * HOUR - (random.next() < 0.1 ? random.below(8) * HOUR : 0));
    countOutcome(outcomes, outcomeOf({ at: requestedAt, knownAt: now, score, label: random.below(2), others }));
    const known = outcomes.advance(now);
    if (known !== null) blocks.push(...countBlocks({ ...about, of: 'outcomes' }, known));
  }
  return blocks.map((block) => parseCountBlock(Buffer.from(JSON.stringify(block)), HOUR));
}

/** Blocks of all partitions, each partition's in order, mixed by a seed. */
function mixed(seed: number, mixing: number): CountBlock[] {
  const random = seededRandom(mixing);
  const queues = Array.from({ length: PARTITIONS }, (_, partition) => blocksOf(partition, seed));
  const all: CountBlock[] = [];
  for (;;) {
    const left = queues.filter(({ length }) => length > 0);
    if (left.length === 0) return all;
    // Now one partition is far ahead, now another.
    const queue = left[random.below(left.length)] as CountBlock[];
    all.push(...queue.splice(0, 1 + random.below(20)));
  }
}

const merge = (merger: ReportMerger, blocks: readonly CountBlock[]): ReportRecord[] =>
  blocks.flatMap((block) => merger.take(block));

const only = (of: CountBlock['of'], blocks: readonly CountBlock[]): CountBlock[] =>
  blocks.filter((block) => block.of === of);

const nameOf = ({ from, version, role }: ReportRecord): string => `${from}/${version}/${role}`;

describe('reports', () => {
  test.each(['predictions', 'outcomes'] as const)(
    'on %s are the same, and in the same order, however the partitions mix',
    (of) => {
      for (let seed = 1; seed <= 5; seed++) {
        const [first, ...others] = [1, 2, 3, 4].map((mixing) =>
          merge(new ReportMerger(options), only(of, mixed(seed, mixing))),
        );
        expect(first?.length).toBeGreaterThan(50);
        for (const other of others) expect(other).toEqual(first);
      }
    },
  );

  test('on both end the same: what is known of a bucket last does not depend on which of them came first', () => {
    const last = (reports: readonly ReportRecord[]): ReportRecord[] => {
      const newest = new Map(reports.map((report) => [`${report.from}/${report.version}`, report]));
      return [...newest.values()].sort((a, b) => a.from - b.from || a.version - b.version);
    };
    const ends = [1, 2, 3].map((mixing) => last(merge(new ReportMerger(options), mixed(7, mixing))));
    expect(ends[0]?.some(({ predictions, outcomes }) => predictions !== null && outcomes !== null)).toBe(true);
    for (const end of ends) expect(end).toEqual(ends[0]);
  });

  test('go on from encoded state as if nothing had happened', () => {
    const blocks = mixed(3, 1);
    const straight = merge(new ReportMerger(options), blocks);
    const stored = new Map<string, string>();
    let merger = new ReportMerger(options);
    const reports: ReportRecord[] = [];
    for (const [at, block] of blocks.entries()) {
      reports.push(...merger.take(block));
      if (at % 7 !== 0) continue;
      for (const [key, value] of merger.entries()) {
        if (value === null) stored.delete(key);
        else stored.set(key, value);
      }
      merger = new ReportMerger(options);
      for (const [key, value] of [...stored].reverse()) merger.restore(key, value);
    }
    expect(reports).toEqual(straight);
  });

  test('come of a bucket only when every partition has closed it, each of its cells in one report', () => {
    const merger = new ReportMerger(options);
    const block = (
      upstream: number,
      from: number | null,
      to: number | null,
      buckets: readonly number[],
    ): CountBlock => {
      const counts = new PredictionCounts();
      counts.addOther({ score: 0.5, decision: 'allow' });
      const cells = buckets.map((bucket) => ({
        bucket,
        version: 1,
        role: 'champion' as const,
        counts: counts.encode(),
      }));
      return { format: 1, bucketMs: HOUR, upstream, of: 'predictions', from, to, cells };
    };
    const said = (reports: readonly ReportRecord[]): unknown =>
      reports.map(({ from, revision, predictions }) => [from / HOUR, revision, predictions?.rows]);
    expect(said(merger.take(block(0, null, 9, [7, 8])))).toEqual([]);
    // The rest of what partition 1 closes is in the next block.
    expect(said(merger.take(block(1, null, null, [7])))).toEqual([]);
    expect(said(merger.take(block(1, null, 8, [])))).toEqual([]);
    expect(merger.reportedUpTo).toBeNull();
    expect(said(merger.take(block(2, null, 8, [7])))).toEqual([[7, 0, 3]]);
    expect(merger.reportedUpTo).toBe(8 * HOUR);
    // What came late for 7 in partition 2 is known with 8, the next that it closes.
    expect(said(merger.take(block(2, 8, 9, [7, 8])))).toEqual([]);
    expect(said(merger.take(block(1, 8, 9, [])))).toEqual([
      [7, 1, 4],
      [8, 0, 2],
    ]);
  });

  test('wait for nobody who is idle, and come out the same once everybody has closed what he held', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = seededRandom(seed);
      const some = only('predictions', mixed(seed, 1));
      const ends = Array.from({ length: PARTITIONS }, (_, upstream): CountBlock => {
        const from = some.findLast((each) => each.upstream === upstream)?.to ?? null;
        return { format: 1, bucketMs: HOUR, upstream, of: 'predictions', from, to: 1_000, cells: [] };
      });
      const closings = [...some, ...ends];
      const straight = new Map(merge(new ReportMerger(options), closings).map((each) => [nameOf(each), each]));
      const merger = new ReportMerger(options);
      const told: ReportRecord[] = [];
      for (const [at, closing] of closings.entries()) {
        // Now and then somebody says a part of what he will close, is idle, and perhaps comes back.
        const upstream = random.below(PARTITIONS);
        const next = closings.slice(at).find((each) => each.upstream === upstream && each.to !== null);
        if (next !== undefined && random.next() < 0.5) {
          const isIdle = random.next() < 0.7;
          const part = next.cells.filter(() => random.next() < 0.7);
          const cells = part.map((cell) => ({ ...cell, counts: decodePredictionCounts(cell.counts as never) }));
          const about = { bucketMs: HOUR, upstream, of: 'predictions' as const, from: next.from };
          const blocks = standingBlocks(about, isIdle, cells).map((block) => Buffer.from(JSON.stringify(block)));
          told.push(...blocks.flatMap((block) => merger.take(parseCountBlock(block, HOUR))));
        }
        told.push(...merger.take(closing));
      }
      const last = new Map(told.map((each) => [nameOf(each), each]));
      expect(told.length).toBeGreaterThan(straight.size);
      for (const [name, { revision: _, ...expected }] of straight) expect(last.get(name)).toMatchObject(expected);
      for (const name of last.keys()) {
        const revisions = told.filter((each) => nameOf(each) === name).map(({ revision }) => revision);
        expect(revisions).toEqual(revisions.map((_, at) => at));
      }
    }
  });

  test('leave out buckets of which some partition told before this merger was there', () => {
    const merger = new ReportMerger(options);
    const counts = new PredictionCounts();
    counts.addOther({ score: 0.5, decision: 'allow' });
    const block = (upstream: number, from: number | null, to: number, buckets: readonly number[]): CountBlock => {
      const cells = buckets.map((bucket) => ({
        bucket,
        version: 1,
        role: 'champion' as const,
        counts: counts.encode(),
      }));
      return { format: 1, bucketMs: HOUR, upstream, of: 'predictions', from, to, cells };
    };
    merger.take(block(0, null, 9, [6, 7, 8]));
    merger.take(block(1, 8, 9, [5, 8]));
    const reports = merger.take(block(2, 7, 9, [7, 8]));
    expect(reports.map(({ from, predictions }) => [from / HOUR, predictions?.rows])).toEqual([[8, 3]]);
    // Nor is it whole later.
    for (const upstream of [0, 1]) merger.take(block(upstream, 9, 10, []));
    expect(merger.take(block(2, 9, 10, [7, 9])).map(({ from }) => from / HOUR)).toEqual([9]);
  });

  test('forget a bucket when its labels can no longer change, and take nothing for it any more', () => {
    const merger = new ReportMerger({ ...options, partitions: 1, keptBuckets: 10 });
    const counts = new OutcomeCounts();
    counts.add(0.5, 1, 'natural', 1);
    const block = (from: number | null, to: number, buckets: readonly number[]): CountBlock => {
      const cells = buckets.map((bucket) => ({
        bucket,
        version: 1,
        role: 'champion' as const,
        counts: counts.encode(),
      }));
      return { format: 1, bucketMs: HOUR, upstream: 0, of: 'outcomes', from, to, cells };
    };
    const keys = (): string[] =>
      [...merger.entries()].flatMap(([key, value]) => (key.startsWith('b') && value !== null ? [key] : []));
    expect(merger.take(block(null, 6, [3, 5]))).toHaveLength(2);
    expect(keys()).toEqual(['b3', 'b5']);
    expect(merger.take(block(6, 14, [3]))).toMatchObject([{ from: 3 * HOUR, revision: 1, outcomes: { rows: 2 } }]);
    expect([...merger.entries()].filter(([key]) => key.startsWith('b'))).toEqual([['b3', null]]);
    expect(merger.take(block(14, 15, [3, 5])).map(({ from }) => from / HOUR)).toEqual([5]);
  });
});

describe('a block', () => {
  test('of another format, or of buckets of another length, is refused', () => {
    const block = { format: 1, bucketMs: HOUR, upstream: 0, of: 'outcomes', from: null, to: 1, cells: [] };
    for (const value of [
      '',
      '{',
      'null',
      '7',
      JSON.stringify({ ...block, format: 2 }),
      JSON.stringify({ ...block, bucketMs: 1 }),
    ])
      expect(() => parseCountBlock(Buffer.from(value), HOUR)).toThrow(
        expect.objectContaining({ code: 'BLOCK_INVALID' }) as Error,
      );
    expect(() => parseCountBlock(null, HOUR)).toThrow(expect.objectContaining({ code: 'BLOCK_INVALID' }) as Error);
    expect(parseCountBlock(Buffer.from(JSON.stringify(block)), HOUR)).toEqual(block);
  });

  test('holds so many cells; the last one of several says that the buckets are closed', () => {
    const tally = tallies(0).predictions;
    for (let version = 0; version < 150; version++)
      tally.cell(0, version, 'challenger').addOther({ score: 0.5, decision: 'allow' });
    const closed = tally.advance(HOUR);
    const blocks = closed === null ? [] : countBlocks({ bucketMs: HOUR, upstream: 0, of: 'predictions' }, closed);
    expect(blocks.map(({ to, cells }) => [to, cells.length])).toEqual([
      [null, 64],
      [null, 64],
      [1, 22],
    ]);
  });
});

describe('an outcome counts', () => {
  const rowsOf = (records: readonly Partial<OutcomeRecord>[]): unknown => {
    const { outcomes } = tallies(0);
    for (const record of records) countOutcome(outcomes, outcomeOf(record));
    return outcomes
      .advance(HOUR)
      ?.cells.map(({ version, role, counts }) => [version, role, Object.fromEntries(counts.sources), counts.positives]);
  };

  test('for every version with a score; beside a challenger stands the champion, beside others a challenger', () => {
    const others = [{ version: 2, score: 0.5 }];
    expect(rowsOf([{ others, label: 1 }])).toEqual([
      [1, 'champion', { natural: 1 }, 1],
      [2, 'challenger', { natural: 1 }, 1],
    ]);
    expect(rowsOf([{ role: 'challenger', others }])).toEqual([
      [1, 'challenger', { natural: 1 }, 0],
      [2, 'champion', { natural: 1 }, 0],
    ]);
    expect(rowsOf([{ role: 'fallback', version: 0, others }])).toEqual([
      [0, 'fallback', { natural: 1 }, 0],
      [2, 'challenger', { natural: 1 }, 0],
    ]);
  });

  test('once, with its last label', () => {
    const revised = { revision: 1, label: 1, replaces: { label: 0, source: 'absence' } } as const;
    expect(rowsOf([{ source: 'absence' }, revised])).toEqual([[1, 'champion', { natural: 1 }, 1]]);
    // Outcomes of before it was said what they replace.
    expect(rowsOf([{}, { revision: 1, label: 1 }])).toEqual([[1, 'champion', { natural: 1 }, 1]]);
  });

  test('by its source alone where the label is not to be trusted', () => {
    expect(rowsOf([{ source: 'censored', label: 1 }])).toEqual([[1, 'champion', { censored: 1 }, 0]]);
  });
});
