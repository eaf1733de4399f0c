import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRolloutActivities, type ActivityDependencies } from '../../../activities/index.js';
import { customerSpending, fraud, moment, terminalRisk } from '../../../examples/fraud/project.js';
import { serviceOfVersion } from '../../../scoring/versionServices.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;

let folder: string;
let registry: Registry;
let objects: ObjectStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-register-'));
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db') });
  objects = openDiskObjectStore(join(folder, 'objects'));
});
afterEach(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

test('a registered version is found by every view that its model reads, and brings its service with it', async () => {
  const dependencies: Partial<ActivityDependencies> = {
    project: 'p',
    modelOf: () => fraud.compiled,
    registry,
    objects,
    codeVersion: '1',
  };
  const activities = createRolloutActivities(dependencies as ActivityDependencies);
  const fence = await registry.openRollout('fraud', 'w1', 'manual');
  const dataset = {
    manifest: { uri: 'm', sha256: 'm' },
    data: { uri: 'd', sha256: 'd' },
    rows: 10,
    positives: 1,
    asServed: 0,
    columns: ['amount'],
    nullShares: [0],
    labelledShare: 1,
    split: { train: [0, 1], test: [1, 2], release: [0, 2] },
  } as const;
  const release = {
    artifact: { uri: 'a', sha256: 'a', bytes: 1 },
    rows: 10,
    positives: 1,
    parity: { rows: 10, maxDifference: 0 },
  };
  const register = (): Promise<unknown> =>
    new MockActivityEnvironment().run(() =>
      activities.registerVersion(fence, release, dataset, 'manual', { auc: 0.9 }, []),
    );
  expect(await register()).toBe(1);
  // A repeated attempt.
  expect(await register()).toBe(1);
  for (const { compiled } of [moment, customerSpending, terminalRisk]) {
    expect(await registry.versionsReading(compiled.name), compiled.name).toEqual([
      { model: 'fraud', version: 1, status: 'registered', hash: compiled.hash },
    ]);
  }
  // Also where the definition is another one by now.
  const other = { ...fraud.compiled, service: { ...fraud.compiled.service, hash: 'another' } };
  expect(await serviceOfVersion({ registry, objects }, other, 1)).toEqual(fraud.compiled.service);
});
