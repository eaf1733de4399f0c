import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDeploymentActivities, type ActivityDependencies } from '../../../activities/index.js';
import { messageOf } from '../../../contracts/errors.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { InstanceState, Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;
const logger = new DefaultLogger('ERROR');
const fence = { model: 'fraud', token: 1 };
const EPOCH = 5;

let folder: string;
let registry: Registry;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-await-instances-'));
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db') });
});
afterEach(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

const renew = (instance: string, more: Partial<InstanceState>): Promise<void> =>
  registry.renewInstance(
    {
      instance,
      kind: 'stream',
      models: ['fraud'],
      readyEpoch: 4,
      activeEpoch: 4,
      breaker: 'closed',
      problem: null,
      ...more,
    },
    60_000,
  );
const FOLLOWS = { readyEpoch: EPOCH, activeEpoch: EPOCH };
const REFUSES = { refusedEpoch: EPOCH, problem: 'version 7 is no model' };

/** Waits for the epoch; `onLook` is called after each look that found somebody missing. */
function awaitActive(onLook: () => void = () => undefined): Promise<string> {
  const environment = new MockActivityEnvironment({}, { logger });
  environment.on('heartbeat', onLook);
  const given: Partial<ActivityDependencies> = { registry, modelOf: () => fraud.compiled };
  const activities = createDeploymentActivities(given as ActivityDependencies);
  return environment.run(async () => {
    try {
      return (await activities.awaitActive(fence, EPOCH, false)).join(', ');
    } catch (error) {
      return messageOf(error);
    }
  });
}

describe('waiting until instances follow', () => {
  test('ends at once where one of them will never follow, and names it and why', async () => {
    await renew('one', FOLLOWS);
    await renew('two', REFUSES);
    expect(await awaitActive()).toMatch(/^INSTANCES_BEHIND: .* not followed by two \(version 7 is no model\)/);
  });

  test('goes on until the others have answered, too', async () => {
    await renew('one', {});
    await renew('two', REFUSES);
    let looks = 0;
    const waited = awaitActive(() => {
      if (++looks === 2) void renew('one', FOLLOWS);
    });
    expect(await waited).toContain('not followed by two (');
    expect(looks).toBeGreaterThanOrEqual(2);
  });

  test.each([
    ['has refused an earlier epoch', { refusedEpoch: EPOCH - 1 }],
    ['lacks a file that may come', { problem: 'the file is gone' }],
  ])('goes on where one %s', async (_what, state) => {
    await renew('one', state);
    let looks = 0;
    const waited = awaitActive(() => {
      if (++looks === 2) void renew('one', FOLLOWS);
    });
    expect(await waited).toBe('one');
  });
});
