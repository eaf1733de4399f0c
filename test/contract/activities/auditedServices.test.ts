import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuditActivities, type ActivityDependencies } from '../../../activities/index.js';
import { auditText } from '../../../cli/followChanges.js';
import type { AuditPlan, AuditResult, ServiceCounts } from '../../../contracts/consistency.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import { predictionsTopic } from '../../../contracts/topics.js';
import { customerSpending, moment, transactions } from '../../../examples/fraud/project.js';
import { featureService } from '../../../features/authoring/featureService.js';
import { encodeService } from '../../../features/storedService.js';
import { skew } from '../../../models/operationalGates.js';
import type { Fence, Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../support/approvals.js';
import { paymentRecord, START } from '../../support/payments.js';
import { labelAfter, ServedWorld } from '../../support/servedWorld.js';
import { changeOf } from '../stores/registry/registrySuite.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;

const MINUTE = 60_000;
const COUNT = 200;
const BEFORE = START + COUNT * MINUTE;
const END = BEFORE + COUNT * MINUTE;

/** What the first version read: neither of the model's views of today comes at the same place of the vector. */
const before = featureService('inputs', { on: transactions, inputs: [customerSpending, moment] }).compiled;

let folder: string;
let world: ServedWorld;
let registry: Registry;
let fence: Fence;
/** Served under the service of before, and under that of today. */
let olds: readonly PredictionRecord[];
let recents: readonly PredictionRecord[];

/** Registers a version under the newest rollout, with its service or without. */
async function register(sha256: string, service: string, stored: Uint8Array | null): Promise<number> {
  const definition = stored === null ? {} : { definition: await world.parts.objects.put('services', 'json', stored) };
  const { version } = await registry.registerVersion({ ...draftOf('fraud', sha256), service, ...definition }, fence);
  return version;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-audited-services-'));
  world = await ServedWorld.start();
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db'), project: world.project });
  fence = { model: 'fraud', token: (await registry.openRollout('fraud', 'test', 'manual')).token };
  await register('1'.repeat(64), before.hash, encodeService(before));
  const champion = await register('2'.repeat(64), world.model.service.hash, null);
  await registry.changeDeployment(changeOf(fence, 'commit', 0, { champion }));

  const made = world.payments(2 * COUNT, 1, START);
  const serve = (some: typeof made): Promise<void> =>
    world.serve([
      ...some.map((each) => labelAfter(world.project, each, MINUTE)),
      ...some.map((each) => paymentRecord(world.project, each)),
    ]);
  world.computed = [before];
  world.serving = before;
  await serve(made.slice(0, COUNT));
  world.serving = world.model.service;
  await serve(made.slice(COUNT));
  await world.finish(END);
  const predictions = await world.predictions();
  olds = predictions.filter(({ service }) => service === before.hash);
  recents = predictions.filter(({ service }) => service === world.model.service.hash);
});
afterAll(async () => {
  await registry.close();
  await world.stop();
  await rm(folder, { recursive: true });
});

/** The result of an audit of a range, with a plan that may be changed. */
async function audited(
  range: { readonly from: number; readonly to: number },
  change: (plan: AuditPlan) => AuditPlan = (plan) => plan,
): Promise<AuditResult> {
  const given = createAuditActivities({
    ...world.parts,
    registry,
    modelOf: () => ({ ...world.model, gates: { ...world.model.gates, operational: [skew(0.01)] } }),
  } as unknown as ActivityDependencies);
  const [from, to] = [new Date(range.from).toISOString(), new Date(range.to).toISOString()];
  const plan = await given.planAudit({ model: 'fraud', from, to, sample: 100_000 });
  return new MockActivityEnvironment().run(() => given.auditServed(change(plan)));
}
const WHOLE = { from: START, to: END };

/** What is said of a service, but for what a test does not look at. */
const saidOf = ({ services }: AuditResult, hash: string): ServiceCounts | undefined =>
  services?.find(({ service }) => service === hash);

const oldAt = (place: number): PredictionRecord => olds[place] as PredictionRecord;
const recentAt = (place: number): PredictionRecord => recents[place] as PredictionRecord;

/** Sends predictions at a time of their own, which one audit looks at. */
let forgedAt = END + MINUTE;
async function forge(...forged: readonly PredictionRecord[]): Promise<{ from: number; to: number }> {
  const [at, topic] = [forgedAt++, predictionsTopic(world.project, 'fraud')];
  await world.send(forged.map((each, id) => ({ topic, key: 'x', value: JSON.stringify({ ...each, id, at }) })));
  return { from: at, to: at + 1 };
}

describe('an audit of a range in which two services were served under', () => {
  test('recomputes every row under the service that it was served under', async () => {
    expect(oldAt(0).vector).not.toHaveLength(recentAt(0).vector.length);
    const result = await audited(WHOLE);
    expect(result).toMatchObject({ outcome: 'consistent', rows: 2 * COUNT, vectors: 2 * COUNT, maxDifference: 0 });
    const all = { rows: COUNT, drawn: COUNT, vectors: COUNT, differing: 0, reason: null };
    expect(saidOf(result, before.hash)).toMatchObject({ ...all, versions: [1] });
    expect(saidOf(result, world.model.service.hash)).toMatchObject({ ...all, versions: [2] });
  });

  test('finds the same in the archive', async () => {
    const fromLog = await audited(WHOLE);
    await world.archive();
    expect(await audited(WHOLE)).toEqual(fromLog);
  });

  test('draws from both, each row as likely as any other', async () => {
    const result = await audited(WHOLE, (plan) => ({ ...plan, sample: 100 }));
    const drawn = [before.hash, world.model.service.hash].map((hash) => saidOf(result, hash)?.drawn ?? 0);
    expect(drawn[0]! + drawn[1]!).toBe(100);
    for (const each of drawn) expect(each).toBeGreaterThan(20);
  });

  test('tells which of them is broken', async () => {
    const { vector } = oldAt(0);
    const broken = { ...oldAt(0), vector: vector.map((value, at) => (at === 0 ? (value ?? 0) + 1 : value)) };
    const range = await forge(broken, recentAt(0), recentAt(1));
    for (const isArchived of [false, true]) {
      if (isArchived) await world.archive();
      const result = await audited(range);
      expect(result).toMatchObject({ outcome: 'inconsistent', rows: 3, vectors: 3, differing: 1, maxDifference: 1 });
      expect(saidOf(result, before.hash)).toMatchObject({ rows: 1, vectors: 1, differing: 1 });
      expect(saidOf(result, world.model.service.hash)).toMatchObject({ rows: 2, vectors: 2, differing: 0 });
      expect(auditText(result)).toContain(
        `\n  service ${before.hash.slice(0, 12)} (version 1): 1 requests, 1 recomputed, 1 differ within their cut, `,
      );
      expect(auditText(result)).toContain(`\n  prediction 0, ${before.columns[0]?.name}: served `);
    }
  });

  test('a vector that is right under another service only is a defect', async () => {
    const range = await forge({ ...oldAt(1), service: world.model.service.hash });
    expect(await audited(range)).toMatchObject({ outcome: 'inconsistent', differing: 1 });
  });

  test('the limit of skew is held against the service that serves now', async () => {
    const range = await forge(oldAt(2));
    const result = await audited(range);
    expect(result).toMatchObject({ vectors: 1, skew: { limit: { verdict: 'inconclusive' } } });
  });
});

describe('a service that nobody can load any more', () => {
  test('is counted with the reason, beside what can be recomputed', async () => {
    await register('3'.repeat(64), 'never-stored', null);
    await register('4'.repeat(64), 'another-one', encodeService(before));
    const range = await forge(
      { ...oldAt(3), service: 'never-stored' },
      { ...recentAt(3), service: 'another-one' },
      { ...oldAt(4), service: 'of-nobody' },
      recentAt(4),
    );
    const result = await audited(range);
    expect(result).toMatchObject({ outcome: 'consistent', rows: 4 });
    const none = { rows: 1, vectors: 0 };
    expect(saidOf(result, 'never-stored')).toMatchObject({
      ...none,
      versions: [3],
      reason: 'fraud version 3 reads service never-stored, which was not stored with it',
    });
    expect(saidOf(result, 'another-one')).toMatchObject({
      ...none,
      versions: [4],
      reason: `feature service another-one: what is stored is service ${before.hash}`,
    });
    expect(saidOf(result, 'of-nobody')).toMatchObject({
      ...none,
      versions: [],
      reason: 'no version of fraud reads it, nor does its definition',
    });
    const text = auditText(result);
    expect(text.split('\n')[0]).toMatch(/; 3 requests under services that cannot be recomputed$/);
    expect(text).toContain(
      '\n  service of-nobody (no version): 1 requests, none recomputed: no version of fraud reads it, nor does its definition',
    );
  });

  test('leaves nothing to conclude where nothing else was served', async () => {
    const range = await forge({ ...recentAt(5), service: 'of-nobody' });
    expect(await audited(range)).toMatchObject({
      outcome: 'inconclusive',
      reason:
        'none of 1 served requests can be recomputed: 1 under service of-nobody (no version of fraud reads it, nor does its definition)',
    });
  });

  test('is told apart from a store that does not answer: that audit is attempted again', async () => {
    const { objects } = world.parts;
    const given = createAuditActivities({
      ...world.parts,
      registry,
      modelOf: () => world.model,
      objects: { ...objects, get: () => Promise.reject(new Error('the store does not answer')) },
    } as unknown as ActivityDependencies);
    await expect(given.planAudit({ model: 'fraud' })).rejects.toThrow('the store does not answer');
  });
});

test('a row whose value under its service is not final waits for a later audit', async () => {
  const range = await forge(oldAt(6), recentAt(6));
  const result = await audited(range, (plan) => ({
    ...plan,
    services: (plan.services ?? []).map((each) =>
      each.service === before.hash ? { ...each, finalUpTo: range.from } : each,
    ),
  }));
  expect(saidOf(result, before.hash)).toMatchObject({
    vectors: 0,
    reason: 'the values of 1 of them in event time are not final',
  });
  expect(result).toMatchObject({ outcome: 'consistent', vectors: 1 });
});

test('an audit that an earlier release planned recomputes what that release would have', async () => {
  const result = await audited(WHOLE, ({ services: _, serving: __, ...plan }) => plan);
  expect(result).toMatchObject({ outcome: 'consistent', vectors: COUNT });
  expect(saidOf(result, before.hash)?.reason).toBe('nobody knew it when the audit was planned');
});
