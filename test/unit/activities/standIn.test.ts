import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  createDeploymentActivities,
  createRecoveryActivities,
  type ActivityDependencies,
} from '../../../activities/index.js';
import { fraud } from '../../../examples/fraud/project.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../support/approvals.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;

let folder: string;
let registry: Registry;
let activities: ReturnType<typeof createDeploymentActivities> & ReturnType<typeof createRecoveryActivities>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-stand-in-'));
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db') });
  const lifecycle: Partial<ActivityDependencies['lifecycle']> = {
    rolloutClosed: () => Promise.resolve(),
    rollbackBegun: () => Promise.resolve(),
  };
  const dependencies: Partial<ActivityDependencies> = {
    project: 'p',
    modelOf: () => fraud.compiled,
    registry,
    log: createMemoryLog({ clock: () => 0 }),
    lifecycle: lifecycle as ActivityDependencies['lifecycle'],
  };
  const all = dependencies as ActivityDependencies;
  activities = { ...createDeploymentActivities(all), ...createRecoveryActivities(all) };
});
afterEach(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

const run = <T>(act: () => Promise<T>): Promise<T> => new MockActivityEnvironment().run(act);

/** Promotes the next version under a rollout of its own, which stays open. */
async function promote(): Promise<{ model: string; token: number }> {
  const number = (await registry.versions('fraud')).length + 1;
  const { token } = await registry.openRollout('fraud', `rollout-${number}`, 'manual');
  const fence = { model: 'fraud', token };
  await registry.registerVersion(draftOf('fraud', String(number).padStart(64, '0')), fence);
  await run(() => activities.commitVersion(fence, number, [], null));
  return fence;
}
const deployed = async (): Promise<unknown> => {
  const { champion, standIn } = (await registry.deployment('fraud')) ?? {};
  return { champion, standIn };
};

test('who was champion before stands in for the champion', async () => {
  await promote();
  expect(await deployed()).toEqual({ champion: 1, standIn: null });
  await promote();
  expect(await deployed()).toEqual({ champion: 2, standIn: 1 });
});

test('a version that is rolled back stands in for nobody', async () => {
  for (let version = 1; version <= 3; version++) await promote();
  const back = (id: string): Promise<unknown> =>
    run(() => activities.rollBack({ model: 'fraud', reason: 'bad', to: id === 'first' ? 2 : 1 }, id));
  await back('first');
  expect(await deployed()).toEqual({ champion: 2, standIn: 1 });
  await back('second');
  expect(await deployed()).toEqual({ champion: 1, standIn: null });
});

test('a version that its own evidence takes back stands in for nobody', async () => {
  await promote();
  const fence = await promote();
  await run(() => activities.takeBack(fence, 2, 1, 'probation'));
  expect(await deployed()).toEqual({ champion: 1, standIn: null });
});
