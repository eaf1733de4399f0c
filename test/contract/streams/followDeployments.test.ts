import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import type { DeploymentRecord } from '../../../contracts/records.js';
import { deploymentsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import { logisticToOnnx } from '../../../models/onnx/linearModel.js';
import { createScoringEngine } from '../../../scoring/engine.js';
import type { Scorer } from '../../../scoring/scorer.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import type { Log } from '../../../stores/log/log.js';
import type { Fence, InstanceLease, InstanceState, Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { followDeployments, LEASE_MS } from '../../../streams/deployments/followDeployments.js';
import { changeOf, draftOf } from '../stores/registry/registrySuite.js';

const project = 'follow';
const model = fraud.compiled;
const columns = model.service.columns.length;

/** A model that answers the logistic function of `intercept`. */
function constant(intercept: number): Uint8Array {
  return logisticToOnnx({
    means: new Float64Array(columns),
    scales: new Float64Array(columns).fill(1),
    weights: new Float64Array(columns),
    intercept,
  });
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(5);
}

describe('an instance that follows deployments', () => {
  let folder: string;
  let nowMs: number;
  let log: Log;
  let registry: Registry;
  let fence: Fence;
  let stops: (() => Promise<void>)[];
  /** What leases were renewed with, and when. */
  let renewals: { at: number; state: InstanceState }[];
  /** Where the files of versions come from; a test may replace it. */
  let load: (version: number) => Promise<Uint8Array>;
  let loads: number[];
  let problems: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-follow-'));
    nowMs = 1_700_000_000_000;
    log = createMemoryLog({ clock: () => nowMs });
    await log.ensureTopics([{ topic: deploymentsTopic(project), partitions: 1, compacted: true }]);
    registry = await openSqliteRegistry({ file: join(folder, 'registry.db'), clock: () => nowMs });
    fence = { model: 'fraud', token: (await registry.openRollout('fraud', 'test', 'manual')).token };
    for (const sha256 of ['a', 'b', 'c']) await registry.registerVersion(draftOf('fraud', sha256.repeat(64)), fence);
    load = (version) => Promise.resolve(constant(version));
    [stops, renewals, loads, problems] = [[], [], [], []];
  });
  afterEach(async () => {
    for (const stop of stops) await stop();
    await registry.close();
    await rm(folder, { recursive: true });
  });

  /** Changes the head of the registry; nobody is told. */
  async function change(next: Partial<DeploymentRecord>): Promise<DeploymentRecord> {
    const epoch = (await registry.deployment('fraud'))?.epoch ?? 0;
    return registry.changeDeployment(changeOf(fence, `step ${epoch + 1}`, epoch, next));
  }
  async function publish(...deployments: readonly DeploymentRecord[]): Promise<void> {
    const producer = await log.producer();
    await producer.send(
      deployments.map((each) => ({
        topic: deploymentsTopic(project),
        partition: 0,
        key: each.model,
        value: JSON.stringify(each),
      })),
    );
    await producer.close();
  }
  async function start(): Promise<Scorer> {
    const scorer = createScoringEngine(model, (version) => {
      loads.push(version);
      return load(version);
    });
    const watched: Registry = {
      ...registry,
      renewInstance: (state, leaseMs) => {
        renewals.push({ at: nowMs, state });
        return registry.renewInstance(state, leaseMs);
      },
    };
    const following = await followDeployments({
      log,
      registry: watched,
      project,
      model: 'fraud',
      instance: 'one',
      scorer,
      onProblem: (text) => problems.push(text),
      clock: () => nowMs,
      renewMs: 10,
    });
    stops.push(async () => {
      await following.stop();
      await scorer.close();
    });
    return scorer;
  }
  const lease = async (): Promise<InstanceLease | undefined> => (await registry.liveInstances('fraud'))[0];
  const untilActive = (epoch: number): Promise<void> => until(async () => (await lease())?.activeEpoch === epoch);

  test('has the head of the registry in force before it has read a record', async () => {
    await change({ champion: 1 });
    await change({ champion: 2 });
    const scorer = await start();
    expect(scorer.deployment).toMatchObject({ epoch: 2, champion: 2 });
    expect(await lease()).toMatchObject({ readyEpoch: 2, activeEpoch: 2, breaker: 'closed', problem: null });
  });

  test('applies higher epochs as they come; lower ones and those of other models are nothing to it', async () => {
    const first = await change({ champion: 1 });
    const scorer = await start();
    const second = await change({ mode: 'shadow', champion: 1, challenger: 2 });
    await publish({ ...second, model: 'other', epoch: 99 }, second, first);
    await untilActive(2);
    await publish(first, await change({ mode: 'canary', champion: 1, challenger: 2, share: 0.1 }));
    await untilActive(3);
    expect(scorer.deployment).toMatchObject({ mode: 'canary', share: 0.1 });
    expect(problems).toEqual([]);
  });

  test('keeps the last good deployment where a challenger cannot be loaded, and its lease says why', async () => {
    await change({ champion: 1 });
    const scorer = await start();
    load = () => Promise.reject(new Error('the file is gone'));
    const shadow = await change({ mode: 'shadow', champion: 1, challenger: 2 });
    await publish(shadow);
    await until(async () => (await lease())?.problem === 'the file is gone');
    expect(await lease()).toMatchObject({ readyEpoch: 1, activeEpoch: 1, breaker: 'closed' });
    expect(scorer.deployment).toMatchObject({ epoch: 1, mode: 'single' });
    expect(problems).toEqual(['epoch 2 cannot be followed: the file is gone']);

    load = (version) => Promise.resolve(constant(version));
    await publish(shadow);
    await untilActive(2);
    expect(await lease()).toMatchObject({ readyEpoch: 2, problem: null });
  });

  test('says that it will never follow where the version is broken, and that it may where its file is missing', async () => {
    await change({ champion: 1 });
    await start();
    load = () => Promise.resolve(Buffer.from('no model'));
    await publish(await change({ mode: 'shadow', champion: 1, challenger: 2 }));
    await until(async () => (await lease())?.refusedEpoch === 2);
    load = () => Promise.reject(new TidemillError('OBJECT_NOT_FOUND', 'the file is gone', {}));
    await publish(await change({ mode: 'shadow', champion: 1, challenger: 3 }));
    await until(async () => (await lease())?.problem === 'the file is gone');
    expect(await lease()).toMatchObject({ refusedEpoch: 2, activeEpoch: 1 });
    await publish(await change({ champion: 1 }));
    await untilActive(4);
    expect(await lease()).not.toHaveProperty('refusedEpoch');
  });

  test('is overtaken by a higher epoch while the files of a lower one do not come', async () => {
    await change({ champion: 1 });
    const scorer = await start();
    load = (version) => (version === 2 ? new Promise(() => undefined) : Promise.resolve(constant(version)));
    await publish(await change({ mode: 'shadow', champion: 1, challenger: 2 }));
    await until(async () => loads.includes(2));
    await publish(await change({ champion: 1 }));
    await untilActive(3);
    expect(scorer.deployment).toMatchObject({ epoch: 3, mode: 'single' });
  });

  test('applies the newest epoch after a freeze, before it is live again', async () => {
    await change({ champion: 1 });
    await start();
    // Nothing of this is published: as where the connection to the log did not survive the freeze.
    await change({ mode: 'canary', champion: 1, challenger: 2, share: 0.5 });
    await change({ champion: 2 });
    const wokenAt = nowMs + LEASE_MS + 1;
    nowMs = wokenAt;
    expect(await registry.liveInstances('fraud')).toEqual([]);
    await until(async () => (await lease()) !== undefined);
    const after = renewals.filter(({ at }) => at >= wokenAt);
    expect(new Set(after.map(({ state }) => state.activeEpoch))).toEqual(new Set([3]));
  });

  test('that joins between prepare and commit is ready at once, and follows the commit without another load', async () => {
    await change({ champion: 1 });
    await change({ champion: 1, prepare: 2 });
    await start();
    expect(await lease()).toMatchObject({ readyEpoch: 2, activeEpoch: 2 });
    expect(loads.sort()).toEqual([1, 2]);
    await publish(await change({ champion: 2 }));
    await untilActive(3);
    expect(loads).toHaveLength(2);
  });

  test('passes over a record that cannot be read', async () => {
    await change({ champion: 1 });
    await start();
    const producer = await log.producer();
    await producer.send([{ topic: deploymentsTopic(project), partition: 0, key: 'fraud', value: '{' }]);
    await producer.close();
    await publish(await change({ champion: 2 }));
    await untilActive(2);
    expect(problems[0]).toContain('the deployment at offset 0 cannot be read');
  });

  test('gives up its lease when it stops', async () => {
    await change({ champion: 1 });
    await start();
    await stops.pop()?.();
    expect(await registry.liveInstances('fraud')).toEqual([]);
  });
});
