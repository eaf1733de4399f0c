import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import type { DeploymentRecord, PredictionRecord } from '../../../contracts/records.js';
import { predictionsTopic } from '../../../contracts/topics.js';
import {
  customer,
  customerSpending,
  fraud,
  moment,
  terminalRisk,
  transactions,
} from '../../../examples/fraud/project.js';
import { featureService, type ServiceInput } from '../../../features/authoring/featureService.js';
import { count, featureView, type FeatureView } from '../../../index.js';
import { encodeService } from '../../../features/storedService.js';
import { viewIdentity } from '../../../features/vectorLayout.js';
import type { CompiledModel } from '../../../models/definition.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import type { Fence, Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { initialiseGroup } from '../../../streams/runtime/initialiseGroup.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { ScoreHost } from '../../../workers/scoreHost.js';
import { paymentRecord, payments, START } from '../../support/payments.js';
import { changeOf, draftOf } from '../stores/registry/registrySuite.js';

const project = 'hosted';
const modelOf = (...inputs: readonly ServiceInput[]): CompiledModel => ({
  ...fraud.compiled,
  service: featureService('inputs', { on: transactions, inputs }).compiled,
});
/** Another view of the customer, on the requests themselves. */
const recent: FeatureView = featureView('recent', {
  entity: customer,
  from: transactions,
  key: 'customer',
  features: () => ({ payments: count().over('3d') }),
});
/** What the worker's code knows; and what a version was trained on that somebody else registered. */
const [own, other] = [modelOf(moment, customerSpending), modelOf(moment, terminalRisk)];

describe('a worker that scores', () => {
  let directory: string;
  let log: Log;
  let registry: Registry;
  let objects: ObjectStore;
  let fence: Fence;
  let host: ScoreHost;
  let fatal: unknown[];
  let sent: number;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tidemill-host-'));
    log = createMemoryLog({ clock: () => Date.parse('2026-01-01') });
    await log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: 1 })),
    );
    registry = await openSqliteRegistry({ file: join(directory, 'registry.db') });
    objects = openDiskObjectStore(join(directory, 'objects'));
    fence = { model: 'fraud', token: (await registry.openRollout('fraud', 'test', 'manual')).token };
    [fatal, sent] = [[], 0];
    const scorer = createFallbackScorer(own);
    await initialiseGroup(log, scoreTopology({ project, model: own, generation: 1, partitions: 1, scorer }), 'start');
    host = new ScoreHost({
      registry,
      objects,
      project,
      model: own,
      generation: 1,
      partitions: 1,
      scorer,
      runtime: { log, instance: 'one', directory, commitIntervalMs: 5, onFatal: (error) => fatal.push(error) },
      onNote: () => undefined,
    });
    await host.start();
  });
  afterEach(async () => {
    await host.stop();
    await registry.close();
    await rm(directory, { recursive: true });
  });

  /** Registers a version that reads a service, and gives a deployment that names it. */
  async function deploymentOf(model: CompiledModel, isStored: boolean): Promise<DeploymentRecord> {
    const { uri, sha256 } = await objects.put('services', 'json', encodeService(model.service));
    const draft = { ...draftOf('fraud', 'a'.repeat(64)), service: model.service.hash };
    const { version } = await registry.registerVersion(
      isStored ? { ...draft, definition: { uri, sha256 } } : draft,
      fence,
    );
    return registry.changeDeployment(changeOf(fence, 'commit', 0, { champion: version }));
  }
  const views = (...inputs: readonly ServiceInput[]): Set<string> =>
    new Set(inputs.map(({ compiled }) => viewIdentity(compiled)));
  async function answered(): Promise<readonly PredictionRecord[]> {
    const producer = await log.producer();
    await producer.send(
      payments(50, { seed: 1, firstId: sent, from: START + sent * 20_000 }).map((each) => paymentRecord(project, each)),
    );
    sent += 50;
    let found: PredictionRecord[] = [];
    while (fatal.length === 0 && found.length < sent) {
      await sleep(10);
      found = (await readTopic(log, predictionsTopic(project, 'fraud'))).map((each) => jsonOf<PredictionRecord>(each));
    }
    expect(fatal).toEqual([]);
    return found;
  }

  test('plans itself anew for a deployment whose version reads other views, and answers on', async () => {
    expect((await answered()).some(({ also }) => also !== undefined)).toBe(false);
    expect(new Set(host.features.views)).toEqual(views(moment, customerSpending));
    await host.cover(await deploymentOf(other, true));
    expect(new Set(host.features.views)).toEqual(views(moment, customerSpending, terminalRisk));
    expect([host.problem, host.breaker]).toEqual([null, 'closed']);
    const samples = (await answered()).flatMap(({ also }) => also ?? []);
    expect(samples.length).toBeGreaterThan(0);
    expect(samples.every(({ service }) => service === other.service.hash)).toBe(true);
  });

  test('says that it waits for the champion’s views while it is planned anew', async () => {
    const deployment = await deploymentOf(other, true);
    const covered = host.cover(deployment);
    while (host.problem === null) await sleep(1);
    expect(host.problem).toMatch(/terminal_risk of service .* is not computed/);
    expect(host.breaker).toBe('open');
    await covered;
    expect(host.breaker).toBe('closed');
  });

  /** Stops the worker, which writes its snapshots, and starts another one on a log. */
  async function restart(on: Log): Promise<void> {
    await host.stop();
    const runtime = {
      log: on,
      instance: 'two',
      directory,
      commitIntervalMs: 5,
      onFatal: (error: unknown) => fatal.push(error),
    };
    const scorer = createFallbackScorer(own);
    const parts = { registry, objects, project, model: own, generation: 1, partitions: 1, scorer, runtime };
    host = new ScoreHost({ ...parts, onNote: () => undefined });
    await host.start();
  }

  test('leaves out a version whose service is not there to be read, and names it', async () => {
    await deploymentOf(other, false);
    await restart(log);
    expect(host.problem).toMatch(/version 1 reads service .* which was not stored with it/);
    expect((await answered()).length).toBe(50);
  });

  test('answers on without a view whose history is lost, and says which', async () => {
    await answered();
    const offsets: Log['offsets'] = async (topic) =>
      (await log.offsets(topic)).map((range) => (topic.endsWith('.transactions') ? { ...range, low: 5 } : range));
    await restart(
      new Proxy(log, {
        get: (target, name) => {
          const method: unknown = name === 'offsets' ? offsets : Reflect.get(target, name);
          return typeof method === 'function' ? (method.bind(target) as unknown) : method;
        },
      }),
    );
    expect((await answered()).length).toBe(100);
    await host.cover(await deploymentOf(modelOf(recent, customerSpending), true));
    while (host.problem === null) await sleep(5);
    expect(host.problem).toMatch(/view recent: .*offsets 0 to 4 of hosted.transactions-0 are lost/);
    expect((await answered()).length).toBe(150);
    expect(new Set(host.features.views)).toEqual(views(moment, customerSpending));
  });
});
