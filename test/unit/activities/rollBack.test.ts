import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  createDeploymentActivities,
  createRecoveryActivities,
  type ActivityDependencies,
} from '../../../activities/index.js';
import { messageOf } from '../../../contracts/errors.js';
import { fraud } from '../../../examples/fraud/project.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../support/approvals.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;
const VERSIONS = 3;

let folder: string;
let registry: Registry;
/** Versions 1 to 3 have been promoted, one after the other. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-roll-back-'));
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db') });
  for (let version = 1; version <= VERSIONS; version++) {
    const { token } = await registry.openRollout('fraud', `rollout-${version}`, 'manual');
    const fence = { model: 'fraud', token };
    await registry.registerVersion(draftOf('fraud', String(version).padStart(64, '0')), fence);
    await run(() => createDeploymentActivities(dependencies()).commitVersion(fence, version, [], null));
    await registry.closeRollout(fence, 'promoted');
  }
});
afterEach(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

function dependencies(reach?: (point: string) => void): ActivityDependencies {
  const lifecycle: Partial<ActivityDependencies['lifecycle']> = { rolloutClosed: () => Promise.resolve() };
  const given: Partial<ActivityDependencies> = {
    project: 'p',
    modelOf: () => fraud.compiled,
    registry,
    log: createMemoryLog({ clock: () => 0 }),
    lifecycle: lifecycle as ActivityDependencies['lifecycle'],
    ...(reach === undefined ? {} : { reach }),
  };
  return given as ActivityDependencies;
}
const logger = new DefaultLogger('ERROR');
const run = <T>(act: () => Promise<T>): Promise<T> => new MockActivityEnvironment({}, { logger }).run(act);
const rollBack = (id: string, more: { to?: number; reach?: (point: string) => void } = {}) => {
  const { reach, ...to } = more;
  return run(() =>
    createRecoveryActivities(dependencies(reach)).rollBack({ model: 'fraud', reason: 'bad', ...to }, id),
  );
};
/** Ends an attempt when it comes to a point, as the end of its process would. */
const dyingAt =
  (wanted: string) =>
  (point: string): void => {
    if (point === wanted) throw new Error(`died at ${point}`);
  };
const state = async (): Promise<unknown> => ({
  champion: (await registry.deployment('fraud'))?.champion,
  withdrawn: (await registry.versions('fraud'))
    .filter(({ status }) => status === 'withdrawn')
    .map(({ version }) => version),
});

test('the second of two rollbacks finds it done', async () => {
  expect(await rollBack('a')).toMatchObject({ outcome: 'rolledBack', from: 3, to: 2 });
  expect(await rollBack('b')).toEqual({ outcome: 'alreadyRolledBack', to: 2 });
  expect(await state()).toEqual({ champion: 2, withdrawn: [3] });
});

test.each([
  'lease/before-intent',
  'lease/after-result',
  'rollback/after-intent',
  'rollback/after-effect',
  'rollback/after-result',
])('one that died at %s is taken up by the next, and then finds it done', async (point) => {
  expect(messageOf(await rollBack('a', { reach: dyingAt(point) }).catch((error: unknown) => error))).toContain('died');
  expect(await rollBack('b')).toMatchObject({ outcome: 'rolledBack', from: 3, to: 2 });
  expect(await state()).toEqual({ champion: 2, withdrawn: [3] });
  expect(await rollBack('a')).toEqual({ outcome: 'alreadyRolledBack', to: 2 });
  expect(await state()).toEqual({ champion: 2, withdrawn: [3] });
});

test.each(['lease/before-intent', 'rollback/after-effect'])('one that died at %s goes on by itself', async (point) => {
  await rollBack('a', { reach: dyingAt(point) }).catch(() => null);
  expect(await rollBack('a')).toMatchObject({ outcome: 'rolledBack', from: 3, to: 2 });
  expect(await state()).toEqual({ champion: 2, withdrawn: [3] });
});

test('one to another version is fenced, and does not say that it was carried out', async () => {
  await rollBack('a', { to: 1, reach: dyingAt('rollback/after-intent') }).catch(() => null);
  expect(await rollBack('b', { to: 2 })).toMatchObject({ outcome: 'rolledBack', from: 3, to: 2 });
  expect(messageOf(await rollBack('a', { to: 1 }).catch((error: unknown) => error))).toMatch(/^FENCED/);
  expect(await state()).toEqual({ champion: 2, withdrawn: [3] });
});
