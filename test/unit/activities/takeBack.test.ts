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
import { fraud } from '../../../examples/fraud/project.js';
import type { Fence, Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../support/approvals.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;
const logger = new DefaultLogger('ERROR');

let folder: string;
let registry: Registry;
/** Version 1 was promoted, and then version 2, whose rollout is still open. */
let fence: Fence;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-take-back-'));
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db') });
  for (let version = 1; version <= 2; version++) {
    const { token } = await registry.openRollout('fraud', `rollout-${version}`, 'manual');
    fence = { model: 'fraud', token };
    await registry.registerVersion(draftOf('fraud', String(version).padStart(64, '0')), fence);
    await run(() => activities().commitVersion(fence, version, [], null));
  }
});
afterEach(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

function activities(reach?: (point: string) => void) {
  const given: Partial<ActivityDependencies> = {
    registry,
    modelOf: () => fraud.compiled,
    ...(reach === undefined ? {} : { reach }),
  };
  const all = given as ActivityDependencies;
  return { ...createDeploymentActivities(all), ...createRecoveryActivities(all) };
}
const run = <T>(act: () => Promise<T>): Promise<T> => new MockActivityEnvironment({}, { logger }).run(act);

describe('taking a promotion back', () => {
  test('is done where an instance does not follow: it says by itself what it lacks', async () => {
    const epoch = ((await registry.deployment('fraud'))?.epoch ?? 0) + 1;
    await registry.renewInstance(
      {
        instance: 'two',
        kind: 'stream',
        models: ['fraud'],
        readyEpoch: epoch - 1,
        activeEpoch: epoch - 1,
        breaker: 'closed',
        refusedEpoch: epoch,
        problem: 'version 1 is no model',
      },
      60_000,
    );
    await run(() => activities().takeBack(fence, 2, 1, 'probation: worse'));
    expect(await registry.deployment('fraud')).toMatchObject({ champion: 1, epoch });
    expect((await registry.version('fraud', 2))?.status).toBe('withdrawn');
    const entry = (await registry.journal('fraud', fence.token)).find(({ step }) => step === 'takeBack');
    expect(entry?.result).toMatchObject({ epoch, behind: ['two (version 1 is no model)'] });
  });

  test('is what a rollback finds done, where its workflow ended in the midst of it, too', async () => {
    // Version 3 after version 2, so that there is a former champion to go back to beyond it.
    await registry.closeRollout(fence, 'promoted');
    fence = { model: 'fraud', token: (await registry.openRollout('fraud', 'rollout-3', 'manual')).token };
    await registry.registerVersion(draftOf('fraud', '3'.padStart(64, '0')), fence);
    await run(() => activities().commitVersion(fence, 3, [], null));
    const reach = (point: string): void => {
      if (point === 'takeBack/after-effect') throw new Error('died');
    };
    await expect(run(() => activities(reach).takeBack(fence, 3, 2, 'probation: worse'))).rejects.toThrow('died');

    const opened = await run(() => activities().openRecovery({ model: 'fraud', workflowId: 'rollout-3' }, 'recovery'));
    expect(opened?.committed).toBeNull();
    const recovery = opened?.fence as Fence;
    await run(() => activities().compensateRollout(recovery, 'terminated', opened?.of));
    await registry.closeRollout(recovery, 'compensated');
    expect((await registry.version('fraud', 3))?.status).toBe('withdrawn');

    const back = await run(() => activities().rollBack({ model: 'fraud', reason: 'worse' }, 'rollback'));
    expect(back).toEqual({ outcome: 'alreadyRolledBack', to: 2 });
    expect((await registry.deployment('fraud'))?.champion).toBe(2);
  });
});
