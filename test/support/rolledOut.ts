import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import {
  createDeploymentActivities,
  createFeatureActivities,
  createRecoveryActivities,
  createRolloutActivities,
  type ActivityDependencies,
} from '../../activities/index.js';
import { fraud } from '../../examples/fraud/project.js';
import { openDiskObjectStore } from '../../stores/objects/diskObjectStore.js';
import type { Fence, Registry } from '../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../stores/registry/sqliteRegistry.js';
import { draftOf } from './approvals.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;
const logger = new DefaultLogger('ERROR');

/** SHA-256 of a version's artifact. */
export const sha256Of = (version: number): string => String(version).padStart(64, '0');

/** A registry whose fraud model is rolled out by the activities themselves, without a server. */
export class RolledOut {
  private constructor(
    private readonly folder: string,
    readonly registry: Registry,
  ) {}

  static async open(): Promise<RolledOut> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemill-rolled-out-'));
    return new RolledOut(folder, await openSqliteRegistry({ file: join(folder, 'registry.db') }));
  }

  /** Takes the next token, as the workflow `rollout-N`. */
  async rollout(number: number): Promise<Fence> {
    const { token } = await this.registry.openRollout('fraud', `rollout-${number}`, 'manual');
    return { model: 'fraud', token };
  }

  /** Promotes a version by a rollout of its number, which stays open. */
  async promote(version: number): Promise<Fence> {
    const fence = await this.rollout(version);
    await this.registry.registerVersion(draftOf('fraud', sha256Of(version)), fence);
    await this.run(() => this.activities().commitVersion(fence, version, [], null));
    return fence;
  }

  /** @param reach is called at the named points of the activities, and may end an attempt there. */
  activities(reach?: (point: string) => void) {
    const given: Partial<ActivityDependencies> = {
      registry: this.registry,
      modelOf: () => fraud.compiled,
      objects: openDiskObjectStore(join(this.folder, 'objects')),
      codeVersion: 'test',
      ...(reach === undefined ? {} : { reach }),
    };
    const all = given as ActivityDependencies;
    return {
      ...createDeploymentActivities(all),
      ...createFeatureActivities(all),
      ...createRolloutActivities(all),
      ...createRecoveryActivities(all),
    };
  }

  /** What an attempt of an activity runs in. */
  environment(): TemporalTesting.MockActivityEnvironment {
    return new MockActivityEnvironment({}, { logger });
  }

  run<T>(act: () => Promise<T>): Promise<T> {
    return this.environment().run(act);
  }

  async close(): Promise<void> {
    await this.registry.close();
    await rm(this.folder, { recursive: true });
  }
}
