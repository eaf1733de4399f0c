import { expect, test } from 'vitest';
import { events, exploreInterleavings, type Batch, type SeededRandom, type StreamTestDriver } from 'tidemill/testing';
import type { OutcomeReport, ReportRecord } from '../../../contracts/performanceReport.js';
import { outcomesTopic, predictionsTopic, reportsTopic } from '../../../contracts/topics.js';
import { expectedReports, type ExpectedReport } from '../../support/expectedReports.js';
import { orders, project, refund, refunds, START } from './refunds.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const PARTITIONS = 2;

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
  // Until all partitions are idle: of the labels first, and then of what came of them.
  for (let round = 0; round < 3; round++) {
    await driver.settle();
    await driver.advanceWallClock(2_000);
  }
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
