import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDeploymentActivities, type ActivityDependencies } from '../../../activities/index.js';
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

function activities(): ReturnType<typeof createDeploymentActivities> {
  const given: Partial<ActivityDependencies> = { registry, modelOf: () => fraud.compiled };
  return createDeploymentActivities(given as ActivityDependencies);
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
});
