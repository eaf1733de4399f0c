import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LabelSource } from '../../../../contracts/performanceReport.js';
import { brier, calibrationError, logLoss } from '../../../../models/metrics/probability.js';
import { decodeOutcomeCounts, OutcomeCounts } from '../../../../models/monitoring/outcomeCounts.js';
import { outcomeReport, predictionReport } from '../../../../models/monitoring/performanceReport.js';
import { decodePredictionCounts, PredictionCounts } from '../../../../models/monitoring/predictionCounts.js';
import { predictionOf } from '../../../support/predictions.js';

const score = fc.oneof(
  fc.constantFrom(0, 1, 0.5, 0.1),
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.double({ min: 0, max: 1e-4, noNaN: true }),
);

/** Something that adds one row to counts. */
type AddTo<Counts> = (counts: Counts) => void;

const predictionRow: fc.Arbitrary<AddTo<PredictionCounts>> = fc.oneof(
  fc
    .record({
      score,
      decision: fc.constantFrom('allow', 'block', 'review'),
      service: fc.constantFrom('one', 'two'),
      vector: fc.array(fc.constantFrom(1, null), { maxLength: 5 }),
    })
    .map((row) => (counts: PredictionCounts) => counts.addServed(predictionOf(row))),
  fc
    .record({ score: fc.option(score), decision: fc.constantFrom('allow', 'block') })
    .map((row) => (counts: PredictionCounts) => counts.addOther(row)),
);

const labelled = fc.record({
  score,
  label: fc.constantFrom(0, 1),
  source: fc.constantFrom<LabelSource>('natural', 'absence', 'censored'),
});
const outcomeRow: fc.Arbitrary<AddTo<OutcomeCounts>> = fc.tuple(labelled, fc.constantFrom<1 | -1>(1, 1, 1, -1)).map(
  ([row, times]) =>
    (counts: OutcomeCounts) =>
      counts.add(row.score, row.label, row.source, times),
);

/** Rows dealt to some partitions, which are merged in some order. */
function dealt<Row>(row: fc.Arbitrary<Row>) {
  return fc
    .array(fc.tuple(row, fc.nat({ max: 4 }), fc.nat()), { maxLength: 60 })
    .chain((rows) =>
      fc.record({ rows: fc.constant(rows), order: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }) }),
    );
}

describe('counts are the same, byte for byte, however rows are dealt to partitions and in whatever order they are merged', () => {
  test('of predictions', () => {
    fc.assert(
      fc.property(dealt(predictionRow), ({ rows, order }) => {
        const whole = new PredictionCounts();
        for (const [add] of rows) add(whole);
        const merged = new PredictionCounts();
        for (const partition of order) {
          const part = new PredictionCounts();
          const own = rows.filter(([, at]) => at === partition).sort((a, b) => a[2] - b[2]);
          for (const [add] of own) add(part);
          merged.merge(
            decodePredictionCounts(JSON.parse(JSON.stringify(part.encode())) as ReturnType<typeof part.encode>),
          );
        }
        expect(JSON.stringify(merged.encode())).toBe(JSON.stringify(whole.encode()));
      }),
    );
  });

  test('of outcomes', () => {
    fc.assert(
      fc.property(dealt(outcomeRow), ({ rows, order }) => {
        const whole = new OutcomeCounts();
        for (const [add] of rows) add(whole);
        const merged = new OutcomeCounts();
        for (const partition of order) {
          const part = new OutcomeCounts();
          const own = rows.filter(([, at]) => at === partition).sort((a, b) => a[2] - b[2]);
          for (const [add] of own) add(part);
          merged.merge(
            decodeOutcomeCounts(JSON.parse(JSON.stringify(part.encode())) as ReturnType<typeof part.encode>),
          );
        }
        expect(JSON.stringify(merged.encode())).toBe(JSON.stringify(whole.encode()));
      }),
    );
  });
});

describe('what is told of counts', () => {
  test('are the metrics of the rows', () => {
    fc.assert(
      fc.property(fc.array(labelled, { minLength: 1, maxLength: 200 }), (rows) => {
        const counts = new OutcomeCounts();
        for (const row of rows) counts.add(row.score, row.label, row.source, 1);
        const trusted = rows.filter(({ source }) => source !== 'censored');
        const labels = Float64Array.from(trusted, ({ label }) => label);
        const scores = Float64Array.from(trusted, (row) => row.score);
        const report = outcomeReport(counts);
        expect(report.rows).toBe(trusted.length);
        for (const [told, expected] of [
          [report.logLoss, logLoss(labels, scores)],
          [report.brier, brier(labels, scores)],
          [report.calibrationError, calibrationError(labels, scores)],
        ] as const) {
          if (expected === null) expect(told).toBeNull();
          else expect(told).toBeCloseTo(expected, 6);
        }
      }),
    );
  });

  test('are nulls by name over the vectors that were served whole', () => {
    const counts = new PredictionCounts();
    counts.addServed(predictionOf({ service: 'one', vector: [null, 1] }));
    counts.addServed(predictionOf({ service: 'one', vector: [1, 1] }));
    counts.addServed(predictionOf({ service: 'two', vector: [1, 1, null] }));
    counts.addServed(predictionOf({ service: 'gone', vector: [1, null] }));
    counts.addServed(predictionOf({ service: 'one', vector: [null, null], absent: [0, 1] }));
    const late = { topic: 't', partition: 0, offset: 1, late: true };
    counts.addServed(predictionOf({ service: 'one', vector: [null, null], replay: late }));
    const names = new Map([
      ['one', ['amount', 'night']],
      ['two', ['night', 'amount', 'risk']],
    ]);
    const report = predictionReport(counts, (service) => names.get(service) ?? null);
    expect(report.nullRates).toEqual({ amount: 1 / 3, column_1: 1, risk: 1 });
    expect(report.rows).toBe(6);
  });

  test('are shares of decisions of what was scored; what failed is told apart', () => {
    const counts = new PredictionCounts();
    for (const decision of ['allow', 'allow', 'block', 'allow']) counts.addOther({ score: 0.5, decision });
    counts.addOther({ score: null, decision: null });
    expect(predictionReport(counts, () => null)).toMatchObject({
      rows: 4,
      served: 0,
      failed: 1,
      decisionShares: { allow: 0.75, block: 0.25 },
      nullRates: {},
    });
  });

  test('is nothing where there is nothing', () => {
    expect(outcomeReport(new OutcomeCounts())).toEqual({
      rows: 0,
      bySource: {},
      positives: 0,
      labelRate: null,
      logLoss: null,
      brier: null,
      calibrationError: null,
    });
    expect(predictionReport(new PredictionCounts(), () => null).scoreQuantiles).toBeNull();
  });
});

test('a label that is taken back leaves nothing behind', () => {
  fc.assert(
    fc.property(fc.array(labelled, { maxLength: 30 }), (rows) => {
      const counts = new OutcomeCounts();
      for (const row of rows) counts.add(row.score, row.label, row.source, 1);
      for (const row of [...rows].reverse()) counts.add(row.score, row.label, row.source, -1);
      expect(counts.isEmpty).toBe(true);
      expect(counts.encode()).toEqual(new OutcomeCounts().encode());
    }),
  );
});
