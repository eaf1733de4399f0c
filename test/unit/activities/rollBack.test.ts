import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createDeploymentActivities,
  createRecoveryActivities,
  type ActivityDependencies,
} from '../../../activities/index.js';
import { messageOf } from '../../../contracts/errors.js';
import type { RollbackBegun } from '../../../contracts/rollout.js';
import { fraud } from '../../../examples/fraud/project.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../support/approvals.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;
const VERSIONS = 3;
const NO_PLAN = { noEvidence: null, shadow: null, canary: null, approval: 'automatic', probation: null } as const;

let folder: string;
let registry: Registry;
/** What the lifecycle was told. */
let begun: RollbackBegun[];
/** Versions 1 to 3 have been promoted, one after the other. */
beforeEach(async () => {
  begun = [];
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
  const lifecycle: Partial<ActivityDependencies['lifecycle']> = {
    rolloutClosed: () => Promise.resolve(),
    rollbackBegun: (_model, told) => {
      begun.push(told);
      return Promise.resolve();
    },
  };
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

describe('a rollback whose workflow is gone', () => {
  /** As the lifecycle has it recovered: by a workflow of its own, with what it was told. */
  const recover = async (of: string, by: string, reach?: (point: string) => void): Promise<unknown> => {
    const intent = begun.find(({ workflowId }) => workflowId === of)?.intent;
    const rollback = intent ?? begun.at(-1)?.intent;
    const activities = createRecoveryActivities(dependencies(reach));
    const input = { model: 'fraud', workflowId: of, ...(rollback === undefined ? {} : { rollback }) };
    const opened = await run(() => activities.openRecovery(input, by));
    if (opened?.rollback === undefined) return opened;
    const { fence, rollback: found } = opened;
    return run(() => activities.finishRollback(fence, found));
  };

  test('is known to the lifecycle before anything has changed', async () => {
    await rollBack('a', { reach: dyingAt('lease/before-intent') }).catch(() => null);
    expect(begun).toEqual([{ workflowId: 'a', intent: { from: 3, to: 2, under: 3, reason: 'bad' } }]);
    expect(await state()).toEqual({ champion: 3, withdrawn: [] });
  });

  test.each([
    'lease/before-intent',
    'lease/after-intent',
    'rollback/before-intent',
    'rollback/after-intent',
    'rollback/after-effect',
    'rollback/after-result',
  ])('is finished where it ended, at %s', async (point) => {
    await rollBack('a', { to: 1, reach: dyingAt(point) }).catch(() => null);
    expect(await recover('a', 'r')).toMatchObject({ outcome: 'rolledBack', from: 3, to: 1 });
    expect(await state()).toEqual({ champion: 1, withdrawn: [3] });
    const moves = (await registry.auditRows('fraud')).filter(({ action }) => action === 'deployment.rollback');
    expect(moves).toHaveLength(1);
  });

  test.each(['lease/before-intent', 'rollback/after-effect'])(
    'is finished by the next one where who finishes it ends at %s, too',
    async (point) => {
      await rollBack('a', { reach: dyingAt('rollback/after-intent') }).catch(() => null);
      await recover('a', 'r1', dyingAt(point)).catch(() => null);
      expect(await recover('r1', 'r2')).toMatchObject({ outcome: 'rolledBack', from: 3, to: 2 });
      expect(await state()).toEqual({ champion: 2, withdrawn: [3] });
    },
  );

  test('leaves nothing to do where it had not begun, had closed, or another one took over', async () => {
    expect(await recover('nobody', 'r')).toBeNull();
    await rollBack('a', { reach: dyingAt('rollback/after-effect') }).catch(() => null);
    await rollBack('b');
    expect(await recover('a', 'r')).toBeNull();
    const newest = await registry.newestRollout('fraud');
    await registry.closeRollout({ model: 'fraud', token: newest?.token ?? 0 }, 'rolled back to version 2');
    expect(await recover('b', 'r')).toBeNull();
    expect(await state()).toEqual({ champion: 2, withdrawn: [3] });
  });

  test('is answered as done to who asks for the same while it is being finished', async () => {
    await rollBack('a', { reach: dyingAt('rollback/after-intent') }).catch(() => null);
    await recover('a', 'r');
    expect(await rollBack('b')).toEqual({ outcome: 'alreadyRolledBack', to: 2 });
  });
});

describe('a rollback under a recovery', () => {
  const recovers = async (of: number, by: string): Promise<{ model: string; token: number }> => {
    const { token } = await registry.openRollout('fraud', by, 'recovery');
    await registry.journalIntent({ model: 'fraud', token }, 'lease', { recovers: of });
    return { model: 'fraud', token };
  };

  test('goes back from the version that was promoted, not from the predecessor beside it', async () => {
    const { token } = await registry.openRollout('fraud', 'lost', 'manual');
    const fence = { model: 'fraud', token };
    await registry.registerVersion(draftOf('fraud', '4'.padStart(64, '0')), fence);
    const plan = { ...NO_PLAN, predecessor: 3, bakeMs: 1 };
    await run(() => createDeploymentActivities(dependencies()).commitVersion(fence, 4, [], plan));
    expect(await registry.deployment('fraud')).toMatchObject({ champion: 4, challenger: 3 });
    await recovers(token, 'r1');
    await recovers(token + 1, 'r2');
    expect(await rollBack('a')).toMatchObject({ outcome: 'rolledBack', from: 4, to: 3 });
    expect(await state()).toEqual({ champion: 3, withdrawn: [4] });
  });

  test('rejects the candidate of the rollout that was being recovered', async () => {
    const { token } = await registry.openRollout('fraud', 'lost', 'manual');
    const fence = { model: 'fraud', token };
    const version = await registry.registerVersion(draftOf('fraud', '4'.padStart(64, '0')), fence);
    await registry.journalIntent(fence, 'register', {});
    await registry.journalResult(fence, 'register', version);
    await recovers(token, 'r1');
    await rollBack('a');
    expect((await registry.version('fraud', 4))?.status).toBe('rejected');
  });
});

test('a recovery that ended in its midst is recovered for the rollout that it was about', async () => {
  const { token } = await registry.openRollout('fraud', 'lost', 'drift');
  await registry.journalIntent({ model: 'fraud', token }, 'lease', {});
  const activities = createRecoveryActivities(dependencies());
  const open = (of: string, by: string) => run(() => activities.openRecovery({ model: 'fraud', workflowId: of }, by));
  expect(await open('lost', 'r1')).toMatchObject({ of: token, trigger: 'drift' });
  expect(await open('r1', 'r2')).toMatchObject({ of: token, trigger: 'drift' });
});
