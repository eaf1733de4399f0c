import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createDeploymentActivities,
  createFeatureActivities,
  createRolloutActivities,
  type ActivityDependencies,
} from '../../../activities/index.js';
import type { BuiltDataset } from '../../../activities/dataset/buildDataset.js';
import { fraud } from '../../../examples/fraud/project.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { Fence, Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../support/approvals.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;
const logger = new DefaultLogger('ERROR');
const ARTIFACT = { uri: 'objects://models/2', sha256: '2'.padStart(64, '0'), bytes: 1 };

let folder: string;
let registry: Registry;
/** A rollout that is open; version 1 is the champion. */
let fence: Fence;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-compensate-'));
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db') });
  const { token } = await registry.openRollout('fraud', 'rollout-1', 'manual');
  fence = { model: 'fraud', token };
  await registry.registerVersion(draftOf('fraud', '1'.padStart(64, '0')), fence);
  await run(() => activities().commitVersion(fence, 1, [], null));
  await registry.closeRollout(fence, 'promoted');
  fence = { model: 'fraud', token: (await registry.openRollout('fraud', 'rollout-2', 'manual')).token };
});
afterEach(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

function activities(reach?: (point: string) => void) {
  const given: Partial<ActivityDependencies> = {
    registry,
    modelOf: () => fraud.compiled,
    objects: openDiskObjectStore(join(folder, 'objects')),
    codeVersion: 'test',
    ...(reach === undefined ? {} : { reach }),
  };
  const all = given as ActivityDependencies;
  return { ...createDeploymentActivities(all), ...createFeatureActivities(all), ...createRolloutActivities(all) };
}
const run = <T>(act: () => Promise<T>): Promise<T> => new MockActivityEnvironment({}, { logger }).run(act);

describe('a rollout that is undone before its commit point', () => {
  test('leaves no version to prepare whose features never were ready', async () => {
    const { hash: service } = fraud.compiled.service;
    await registry.registerVersion({ ...draftOf('fraud', ARTIFACT.sha256), service }, fence);
    // It computes nothing of what the version reads, and will not.
    await registry.renewInstance(
      {
        instance: 'one',
        kind: 'stream',
        models: ['fraud'],
        readyEpoch: 1,
        activeEpoch: 1,
        breaker: 'closed',
        problem: null,
        features: { views: [], tasks: 1, recovering: 0, replayed: 0 },
      },
      60_000,
    );
    const environment = new MockActivityEnvironment({}, { logger });
    environment.on('heartbeat', () => {
      environment.cancel();
    });
    const ready = environment.run(() => activities().readyFeatures(fence, 2));
    await expect(ready).rejects.toThrow();
    expect((await registry.deployment('fraud'))?.prepare).toBe(2);

    await run(() => activities().compensateRollout(fence, 'cancelled'));
    expect(await registry.deployment('fraud')).toMatchObject({ champion: 1, mode: 'single', prepare: null });
    expect((await registry.version('fraud', 2))?.status).toBe('rejected');
  });

  test('rejects a version that was registered, where nobody could write down that it was', async () => {
    const reach = (point: string): void => {
      if (point === 'register/after-effect') throw new Error('died');
    };
    const release = { artifact: ARTIFACT, rows: 1, positives: 1, parity: { rows: 1, maxDifference: 0 } };
    const dataset = { manifest: { uri: 'objects://manifests/1', sha256: 'd'.repeat(64) }, columns: [], rows: 1 };
    const registering = run(() =>
      activities(reach).registerVersion(fence, release, dataset as unknown as BuiltDataset, 'manual', {}, []),
    );
    await expect(registering).rejects.toThrow('died');
    expect((await registry.version('fraud', 2))?.status).toBe('registered');

    await run(() => activities().compensateRollout(fence, 'terminated'));
    expect(await registry.version('fraud', 2)).toMatchObject({ status: 'rejected', reason: 'terminated' });
    expect((await registry.version('fraud', 1))?.status).toBe('registered');
  });
});
