import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { drawServed } from '../../../activities/audit/drawServed.js';
import { finalUpTo } from '../../../activities/audit/finality.js';
import { recompute, takeEnds } from '../../../activities/audit/recompute.js';
import { archiveFiles } from '../../../activities/dataset/archiveFiles.js';
import { createAuditActivities, type ActivityDependencies } from '../../../activities/index.js';
import { auditInWords, isSkewed, type AuditPlan, type AuditResult } from '../../../contracts/consistency.js';
import { REPLAY_HEADER, type ReplayMark } from '../../../contracts/deadLetters.js';
import { predictionsTopic } from '../../../contracts/topics.js';
import { skew } from '../../../models/operationalGates.js';
import { paymentRecord, START } from '../../support/payments.js';
import { labelAfter, ServedWorld } from '../../support/servedWorld.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const COUNT = 600;
const END = START + COUNT * MINUTE;
const nothing = (): Promise<void> => Promise.resolve();

let world: ServedWorld;
beforeAll(async () => {
  world = await ServedWorld.start();
});
afterAll(() => world.stop());

/** The activities of an audit, and what they noted. */
function activities() {
  const noted: AuditResult[] = [];
  const dependencies = {
    ...world.parts,
    modelOf: () => ({ ...world.model, gates: { ...world.model.gates, operational: [skew(0.01)] } }),
    registry: {
      versions: () => Promise.resolve([]),
      deployment: () => Promise.resolve(null),
      noteConsistency: async (_model: string, _actor: string, result: AuditResult) => void noted.push(result),
    },
  } as unknown as ActivityDependencies;
  return { noted, ...createAuditActivities(dependencies) };
}
const audited = async (sample: number, changed: Partial<AuditPlan> = {}): Promise<AuditResult> => {
  const given = activities();
  const plan = await given.planAudit({ model: 'fraud', from: new Date(START).toISOString(), sample });
  return new MockActivityEnvironment().run(() => given.auditServed({ ...plan, ...changed }));
};

describe('the audit of what was served', () => {
  test('has nothing to say while nothing is final', async () => {
    const made = world.payments(COUNT, 1, START);
    await world.serve([
      // Labels that are known in time …
      ...made.filter(({ id }) => id % 3 > 0).map((each) => labelAfter(world.project, each, MINUTE)),
      ...made.map((each) => paymentRecord(world.project, each)),
    ]);
    expect(await audited(100, { to: START })).toMatchObject({ outcome: 'inconclusive' });
    // … up to two hours before the newest label: the lateness twice.
    expect(await finalUpTo(world.log, world.project, world.model.service)).toBeLessThan(END - 2 * HOUR + MINUTE);
  });

  test('finds vectors as they were served, and none that event time has otherwise', async () => {
    const result = await audited(100_000);
    expect(result).toMatchObject({
      outcome: 'consistent',
      differing: 0,
      maxDifference: 0,
      skew: {
        share: 0,
        byCause: { inFlight: 0, lateEvent: 0, lateLabel: 0 },
        limit: { atMost: 0.01, verdict: expect.stringMatching(/pass|inconclusive/) as string },
      },
      findings: [],
    });
  });

  test('says why event time has another vector: in flight, late event, late label', async () => {
    const before = world.payments(COUNT, 1, START);
    const some = before.filter(({ id }) => id % 3 === 0 && id > 300);
    // A third of the labels comes when the requests after them have long been served, but not behind the watermark.
    const inFlight = some.filter(({ at }) => at > END - HOUR);
    // Those are behind it, and so is a payment.
    const lateLabels = some.filter(({ at }) => at < END - 3 * HOUR);
    const lateEvent = { ...(before[100] as (typeof before)[0]), id: 800_000 };
    await world.serve([
      ...inFlight.map((each) => labelAfter(world.project, each, MINUTE)),
      ...lateLabels.map((each) => labelAfter(world.project, each, MINUTE)),
      paymentRecord(world.project, lateEvent),
    ]);
    await world.finish(END);
    const result = await audited(100_000);
    if (result.outcome === 'inconclusive') throw new Error(result.reason);
    expect(result).toMatchObject({
      outcome: 'consistent',
      rows: COUNT,
      vectors: COUNT,
      differing: 0,
      maxDifference: 0,
    });
    const { byCause, share, limit } = result.skew;
    // Far more than the model allows: it is said, with the limit.
    expect(limit).toMatchObject({ atMost: 0.01, verdict: 'fail' });
    expect(isSkewed(result)).toBe(true);
    expect(auditInWords(result)).toMatch(/, beyond the limit of 1 %$/);
    expect(byCause.inFlight).toBeGreaterThan(0);
    expect(byCause.lateEvent).toBeGreaterThan(0);
    expect(byCause.lateLabel).toBeGreaterThan(0);
    expect(share * COUNT).toBeCloseTo(byCause.inFlight + byCause.lateEvent + byCause.lateLabel);
    const { rows } = JSON.parse(
      (await world.parts.objects.get(result.report.uri, result.report.sha256)).toString('utf8'),
    ) as { rows: { id: number; cause: string; skewed: { column: string }[] }[] };
    expect(rows).toHaveLength(byCause.inFlight + byCause.lateEvent + byCause.lateLabel);
    // What a late payment of a customer changes is the customer's columns.
    const spending = rows.filter(({ cause }) => cause === 'lateEvent').flatMap(({ skewed }) => skewed);
    expect(spending.every(({ column }) => /^(transactions|average_amount)_/.test(column))).toBe(true);
  });

  test('draws and finds the same wherever the border between archive and log lies', async () => {
    const plan = {
      from: START,
      to: END,
      sample: 150,
      seed: 'seed',
      ends: await takeEnds(world.log, world.project, world.model, [world.model.service]),
    };
    const look = async () => {
      const drawn = await drawServed(world.parts, world.model, [world.model.service], plan, nothing);
      const found = await recompute(world.parts, world.model, world.model.service, drawn.sample, plan.ends, nothing);
      const essence = found.map(({ row: { id }, broken, cause, skewed, missing }) => ({
        id,
        broken,
        cause,
        skewed,
        missing,
      }));
      return { rows: drawn.rows.get(world.model.service.hash), essence };
    };
    const fromLog = await look();
    expect(fromLog.rows).toBe(COUNT);
    expect(fromLog.essence).toHaveLength(150);
    expect(new Set(fromLog.essence.map(({ cause }) => cause)).size).toBeGreaterThan(2);
    await world.archive();
    const ends = await takeEnds(world.log, world.project, world.model, [world.model.service]);
    expect(ends).toEqual(plan.ends);
    expect(await look()).toEqual(fromLog);
    // Another seed draws other rows.
    const other = await drawServed(
      world.parts,
      world.model,
      [world.model.service],
      { ...plan, seed: 'other' },
      nothing,
    );
    expect(other.sample.map(({ id }) => id)).not.toEqual(fromLog.essence.map(({ id }) => id));
    // Half of it in the archive, half in the log.
    const more = world.payments(200, 5_000, END + 12 * HOUR);
    await world.serve([
      ...more.map((each) => labelAfter(world.project, each, MINUTE)),
      ...more.map((each) => paymentRecord(world.project, each)),
    ]);
    const whole = {
      ...plan,
      to: END + 24 * HOUR,
      sample: 100_000,
      ends: await takeEnds(world.log, world.project, world.model, [world.model.service]),
    };
    const drawn = await drawServed(world.parts, world.model, [world.model.service], whole, nothing);
    expect(drawn.rows).toEqual(new Map([[world.model.service.hash, (await world.predictions()).length]]));
    const found = await recompute(world.parts, world.model, world.model.service, drawn.sample, whole.ends, nothing);
    expect(found.filter(({ broken, missing }) => broken.length > 0 || missing !== null)).toEqual([]);
  });

  test('agrees with the dataset of a training on how many served rows event time has otherwise', async () => {
    const { offline, model, project } = world;
    const archived = await archiveFiles(world.log, project);
    const files = (topic: string): Promise<string[]> =>
      Promise.all(
        (archived.get(topic)?.files ?? []).map(({ uri, sha256 }) => world.parts.objects.localPath(uri, sha256)),
      );
    const [requests, labels, served] = (await Promise.all(
      ['transactions', 'fraud-labels', 'fraud.predictions'].map((name) => files(`${project}.${name}`)),
    )) as [string[], string[], string[]];
    const folder = await mkdtemp(join(tmpdir(), 'tidemill-skewed-'));
    const vectors = await offline.computeVectors({
      service: model.service,
      files: { transactions: requests, 'fraud-labels': labels },
      from: START,
      to: END,
      entity: null,
      output: join(folder, 'vectors.parquet'),
    });
    const { asServed, skewed } = await offline.joinDataset({
      vectors,
      service: model.service,
      labels: { ...model.label, files: labels },
      served,
      labelCutOff: END + 24 * HOUR,
      output: join(folder, 'dataset.parquet'),
    });
    await rm(folder, { recursive: true });
    const labelled = new Set<unknown>();
    for await (const events of offline.readEvents(model.label.stream, labels))
      for (const { id } of events) labelled.add(id);
    const plan = {
      from: START,
      to: END,
      sample: 100_000,
      seed: '',
      ends: await takeEnds(world.log, project, model, [model.service]),
    };
    const drawn = await drawServed(world.parts, model, [model.service], plan, nothing);
    const found = await recompute(world.parts, model, model.service, drawn.sample, plan.ends, nothing);
    // A dataset has the rows that have a label.
    const rows = found.filter(({ row }) => labelled.has(row.id));
    expect(asServed).toBe(rows.length);
    expect(skewed).toBe(rows.filter(({ cause }) => cause !== null).length);
    expect(skewed).toBeGreaterThan(0);
    expect(skewed).toBeLessThan(asServed);
  });

  test('tells a vector that is not what the features say, in the archive and in the log', async () => {
    const [first, second, third, fourth] = await world.predictions();
    if (first === undefined || second === undefined || third === undefined || fourth === undefined)
      throw new Error('nothing was served');
    const topic = predictionsTopic(world.project, 'fraud');
    const forged = (id: number, changed: object): { topic: string; key: string; value: string } => {
      return { topic, key: 'x', value: JSON.stringify({ ...first, at: END + 5 * HOUR, id, ...changed }) };
    };
    const vector = first.vector.map((value, at) => (at === 3 ? (value ?? 0) + 0.5 : value));
    await world.send([
      forged(1, { vector }),
      forged(2, { source: { ...first.source, offset: 1_000_000 } }),
      forged(3, { source: third.source, cut: 'terminal-0-999999' }),
      // The rules answered before anybody had computed a column; of a version this is a defect.
      forged(5, {
        source: second.source,
        cut: second.cut,
        version: 0,
        at: END + 5 * HOUR,
        vector: second.vector.map((value, at) => (at > 8 ? null : value)),
      }),
      forged(4, { source: fourth.source, service: 'another' }),
    ]);
    const range = { from: END + 5 * HOUR, to: END + 5 * HOUR + 1 };
    for (const isArchived of [false, true]) {
      if (isArchived) await world.archive();
      const result = await audited(1_000, range);
      expect(result).toMatchObject({ outcome: 'inconsistent', rows: 6, vectors: 5, maxDifference: null });
      if (result.outcome === 'inconclusive') throw new Error(result.reason);
      expect(result.differing).toBe(3);
      expect(result.services?.map(({ service, rows, vectors, reason }) => [service, rows, vectors, reason])).toEqual([
        [world.model.service.hash, 5, 5, null],
        ['another', 1, 0, 'no version of fraud reads it, nor does its definition'],
      ]);
      const text = result.findings.join('\n');
      expect(text).toContain('prediction 1, ');
      expect(text).toContain('prediction 2: there is no such request');
      expect(text).toContain('prediction 3: there is no cut terminal-0-999999');
    }
  });

  test('leaves out requests that were replayed late, in the log and in the archive: windows had forgotten events', async () => {
    const some = world.payments(COUNT, 1, START).at(-1);
    if (some === undefined) throw new Error('no payments');
    // Every partition is months later by now, and has let go of what was.
    const later = world.payments(40, 960_000, END + 90 * DAY);
    await world.serve([
      ...later.map((each) => labelAfter(world.project, each, 0)),
      ...later.map((each) => paymentRecord(world.project, each)),
    ]);
    const mark: ReplayMark = { topic: `${world.project}.transactions`, partition: 0, offset: 1, attempt: 1 };
    const replay = { ...some, id: 970_000, at: some.at + 1 };
    await world.serve([
      { ...paymentRecord(world.project, replay), headers: { [REPLAY_HEADER]: JSON.stringify(mark) } },
    ]);
    expect((await world.predictions()).find(({ id }) => id === replay.id)?.replay?.late).toBe(true);
    const ends = await takeEnds(world.log, world.project, world.model, [world.model.service]);
    const plan = { from: replay.at, to: replay.at + 1, sample: 100, seed: '', ends };
    for (const isArchived of [false, true]) {
      if (isArchived) await world.archive();
      const drawn = await drawServed(world.parts, world.model, [world.model.service], plan, nothing);
      expect(drawn).toEqual({ rows: new Map([['', 1]]), sample: [] });
    }
  });

  test('ends when it is cancelled, and notes nothing', async () => {
    const given = activities();
    const plan = await given.planAudit({ model: 'fraud', from: new Date(START).toISOString() });
    const environment = new MockActivityEnvironment();
    environment.once('heartbeat', () => environment.cancel());
    await expect(environment.run(() => given.auditServed(plan))).rejects.toThrow(/CANCELLED|cancel/i);
    expect(given.noted).toEqual([]);
  });
});
