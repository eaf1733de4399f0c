import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BuiltDataset } from '../../../activities/dataset/buildDataset.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { Fence, Registry } from '../../../stores/registry/registry.js';
import { draftOf } from '../../support/approvals.js';
import { RolledOut, sha256Of } from '../../support/rolledOut.js';

let world: RolledOut;
let registry: Registry;
/** A rollout that is open; version 1 is the champion. */
let fence: Fence;
beforeEach(async () => {
  world = await RolledOut.open();
  ({ registry } = world);
  await registry.closeRollout(await world.promote(1), 'promoted');
  fence = await world.rollout(2);
});
afterEach(() => world.close());

describe('a rollout that is undone before its commit point', () => {
  test('leaves no version to prepare whose features never were ready', async () => {
    const { hash: service } = fraud.compiled.service;
    await registry.registerVersion({ ...draftOf('fraud', sha256Of(2)), service }, fence);
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
    const environment = world.environment();
    environment.on('heartbeat', () => {
      environment.cancel();
    });
    const ready = environment.run(() => world.activities().readyFeatures(fence, 2));
    await expect(ready).rejects.toThrow();
    expect((await registry.deployment('fraud'))?.prepare).toBe(2);

    await world.run(() => world.activities().compensateRollout(fence, 'cancelled'));
    expect(await registry.deployment('fraud')).toMatchObject({ champion: 1, mode: 'single', prepare: null });
    expect((await registry.version('fraud', 2))?.status).toBe('rejected');
  });

  test('rejects a version that was registered, where nobody could write down that it was', async () => {
    const reach = (point: string): void => {
      if (point === 'register/after-effect') throw new Error('died');
    };
    const release = {
      artifact: draftOf('fraud', sha256Of(2)).artifact,
      rows: 1,
      positives: 1,
      parity: { rows: 1, maxDifference: 0 },
    };
    const dataset = { manifest: { uri: 'objects://manifests/1', sha256: 'd'.repeat(64) }, columns: [], rows: 1 };
    const registering = world.run(() =>
      world.activities(reach).registerVersion(fence, release, dataset as unknown as BuiltDataset, 'manual', {}, []),
    );
    await expect(registering).rejects.toThrow('died');
    expect((await registry.version('fraud', 2))?.status).toBe('registered');

    await world.run(() => world.activities().compensateRollout(fence, 'terminated'));
    expect(await registry.version('fraud', 2)).toMatchObject({ status: 'rejected', reason: 'terminated' });
    expect((await registry.version('fraud', 1))?.status).toBe('registered');
  });
});
