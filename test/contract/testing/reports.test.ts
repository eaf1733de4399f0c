import { expect, test } from 'vitest';
import { events, exploreInterleavings, type Batch, type SeededRandom, type StreamTestDriver } from 'tidemill/testing';
import type { OutcomeReport, ReportRecord } from '../../../contracts/performanceReport.js';
import { outcomesTopic, predictionsTopic, reportsTopic } from '../../../contracts/topics.js';
import {
  atLeast,
  defineProject,
  errors,
  eventStream,
  logistic,
  model,
  notWorse,
  requestFeatures,
  rules,
  t,
} from '../../../index.js';
import { expectedReports, type ExpectedReport } from '../../support/expectedReports.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.parse('2026-01-02T00:00:00Z');
const PARTITIONS = 2;

const orders = eventStream('orders', {
  schema: { id: t.int(), at: t.timestamp(), shop: t.int(), amount: t.decimal(2) },
  eventId: 'id',
  eventTime: 'at',
  key: 'shop',
  allowedLateness: '10m',
});
const refunds = eventStream('refunds', {
  schema: { id: t.int(), at: t.timestamp(), shop: t.int(), refunded: t.bool() },
  eventId: 'id',
  eventTime: 'at',
  key: 'shop',
  allowedLateness: '10m',
  labels: orders,
});
const refund = model('refund', {
  task: 'binary',
  on: orders,
  label: refunds.field('refunded'),
  labelDelay: '1h',
  labels: { horizon: '3h', absence: 'negative', retention: '8h', censored: ['block'] },
  entity: 'shop',
  inputs: [requestFeatures(orders, ({ amount }) => ({ amount }), { name: 'size' })],
  train: logistic(),
  split: { train: '12h', test: '6h' },
  gates: {
    absolute: [atLeast('auc', 0.6)],
    refresh: [notWorse('average_precision', { margin: 0.5 })],
    drift: [notWorse('average_precision', { margin: 0.5 })],
    operational: [errors(0.3)],
  },
  drift: { season: '1d', quiet: '1h', budget: '3 per 1d', freshPositives: 50 },
  decide: ({ score }) => rules().block(score.gt(0.95)).review(score.gt(0.5)).otherwise('allow'),
  fallback: ({ amount }) => rules().score(amount.gt(450).if(0.8, 0.1)),
});
const project = defineProject('shop', { models: [refund] });

/** Sixteen hours of orders; of some a refund comes, sooner or later, and now and then it is taken back. */
function someOrders(random: SeededRandom): readonly Batch[] {
  const later: { readonly at: number; readonly batch: Batch }[] = [];
  const batches: Batch[] = [];
  for (let id = 0; id < 16 * 12; id++) {
    const now = START + id * 5 * MINUTE;
    const at = now - random.below(4) * 4 * MINUTE;
    const order = { id, at, shop: random.below(8), amount: random.below(50_000) / 100 };
    const label = (after: number, refunded: boolean): void => {
      const knownAt = at + after * MINUTE;
      later.push({ at: knownAt, batch: events(refunds, [{ id, at: knownAt, shop: random.below(8), refunded }]) });
    };
    if (random.chance(0.6)) label(20 + random.below(120), random.chance(0.5));
    if (random.chance(0.2)) label(60 + random.below(300), random.chance(0.5));
    batches.push(events(orders, [order]));
    later.sort((a, b) => a.at - b.at);
    while (later[0] !== undefined && later[0].at <= now) batches.push((later.shift() as (typeof later)[number]).batch);
  }
  return batches;
}

async function check(driver: StreamTestDriver): Promise<number> {
  const reports = await driver.reports(refund);
  const topics = [predictionsTopic('shop', 'refund'), outcomesTopic('shop', 'refund')];
  const records = (await Promise.all(topics.map((topic) => driver.records(topic)))).flat();
  const expected = expectedReports('shop', refund.compiled, records, PARTITIONS, HOUR);

  const newest = reports
    .filter((report) => !reports.some((each) => isSameBucket(each, report) && each.revision > report.revision))
    .sort((a, b) => a.from - b.from || a.version - b.version);
  expect(newest.map(told)).toEqual(expected.map(near));
  for (const report of newest) {
    const revisions = reports.filter((each) => isSameBucket(each, report));
    expect(revisions.map(({ revision }) => revision)).toEqual(revisions.map((_, at) => at));
  }
  return reports.length;
}

function isSameBucket(a: ReportRecord, b: ReportRecord): boolean {
  return a.from === b.from && a.version === b.version && a.role === b.role;
}

function told({ version, role, from, predictions, outcomes, counts }: ReportRecord): ExpectedReport {
  const decisions = Object.fromEntries(counts.predictions?.decisions ?? []);
  return {
    version,
    role,
    from,
    predictions: predictions === null ? null : { rows: predictions.rows, served: predictions.served, decisions },
    outcomes: outcomes === null ? null : numbersOf(outcomes),
  };
}

function numbersOf({ rows, positives, logLoss, brier, calibrationError }: OutcomeReport): ExpectedReport['outcomes'] {
  return { rows, positives, logLoss, brier, calibrationError };
}

/** What is summed of each row is rounded to 6e-8. */
function near({ outcomes, ...rest }: ExpectedReport): object {
  const close = (value: number | null): unknown => (value === null ? null : expect.closeTo(value, 6));
  if (outcomes === null) return { ...rest, outcomes };
  const { logLoss, brier, calibrationError, ...counts } = outcomes;
  const means = { logLoss: close(logLoss), brier: close(brier), calibrationError: close(calibrationError) };
  return { ...rest, outcomes: { ...counts, ...means } };
}

test.each([1, 31])(
  'reports say what the records say, each revision once, whatever goes wrong (30 seeds from %i)',
  async (from) => {
    let reported = 0;
    const report = await exploreInterleavings(project, {
      seeds: Array.from({ length: 30 }, (_, at) => from + at),
      topologies: ['score', 'outcome', 'monitor'],
      models: { refund: ({ amount }) => Math.min(0.99, (amount ?? 0) / 500) },
      partitions: PARTITIONS,
      inputs: someOrders,
      faults: 4,
      check: async (driver) => {
        const reports = await check(driver);
        expect(reports).toBeGreaterThan(8);
        reported += reports;
      },
    });
    expect(reported).toBeGreaterThan(30 * 15);
    expect(report.outcomes).toBeGreaterThan(30 * 80);
    expect(report.faults).toBeGreaterThan(60);
    expect(report.tasks).toBeGreaterThanOrEqual(30 * 8);
  },
);

test('every report is in one archived range', async () => {
  let reported = 0;
  const { archivedRecords } = await exploreInterleavings(project, {
    seeds: 2,
    topologies: ['score', 'outcome', 'monitor', 'archive'],
    partitions: PARTITIONS,
    inputs: someOrders,
    faults: 2,
    check: async (driver) => {
      const manifests = (await driver.archive()).filter(({ topic }) => topic === reportsTopic('shop', 'refund'));
      const reports = await driver.reports(refund);
      expect(manifests.reduce((rows, manifest) => rows + manifest.rows, 0)).toBe(reports.length);
      reported += reports.length;
    },
  });
  expect(reported).toBeGreaterThan(2 * 8);
  expect(archivedRecords).toBeGreaterThan(2 * 16 * 12);
});
