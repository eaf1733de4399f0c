import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { customer, customerSpending, fraud, moment, transactions } from '../../../examples/fraud/project.js';
import { featureService, type ServiceInput } from '../../../features/authoring/featureService.js';
import type { CompiledView } from '../../../features/compiledView.js';
import { encodeService } from '../../../features/storedService.js';
import { count, featureView } from '../../../index.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import { FeatureReader } from '../../../stores/online/featureReader.js';
import { openLmdbOnlineStore } from '../../../stores/online/lmdbOnlineStore.js';
import type { OnlineStore, ViewIdentity } from '../../../stores/online/onlineStore.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { MaterializeHost } from '../../../workers/materializeHost.js';
import type { TopologyParts } from '../../../workers/topologies.js';
import { eventsInLog, interpreted } from '../../support/materialized.js';
import { paymentRecord, payments, START } from '../../support/payments.js';
import { changeOf, draftOf } from '../stores/registry/registrySuite.js';

const project = 'views';
const PARTITIONS = 2;
const modelOf = (...inputs: readonly ServiceInput[]): CompiledModel => ({
  ...fraud.compiled,
  service: featureService('inputs', { on: transactions, inputs }).compiled,
});
/** The view as the definition had it before: its name, but other features. */
const spendingBefore = featureView(customerSpending.compiled.name, {
  entity: customer,
  from: transactions,
  key: 'customer',
  features: () => ({ payments: count().over('3d') }),
});
const [now, before] = [modelOf(moment, customerSpending), modelOf(moment, spendingBefore)];
const [viewNow, viewBefore] = [customerSpending.compiled, spendingBefore.compiled];

describe('a worker that materializes', () => {
  let directory: string;
  let log: Log;
  let registry: Registry;
  let objects: ObjectStore;
  let store: OnlineStore;
  let hosts: MaterializeHost[];
  let fatal: unknown[];
  let notes: string[];
  let nowMs: number;
  let sent: number;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tidemill-materialize-'));
    nowMs = 1_700_000_000_000;
    [hosts, fatal, notes, sent] = [[], [], [], 0];
    log = createMemoryLog({ clock: () => nowMs });
    await log.ensureTopics([{ topic: `${project}.transactions`, partitions: PARTITIONS }]);
    registry = await openSqliteRegistry({ file: join(directory, 'registry.db') });
    objects = openDiskObjectStore(join(directory, 'objects'));
    store = openLmdbOnlineStore({ folder: join(directory, 'online') });
    await send();
  });
  afterEach(async () => {
    for (const host of hosts) await host.stop();
    await store.close();
    await registry.close();
    await rm(directory, { recursive: true });
    expect(fatal).toEqual([]);
  });

  async function send(): Promise<void> {
    const producer = await log.producer();
    const from = START + sent * 20_000;
    await producer.send(
      payments(500, { seed: 1 + sent, firstId: sent, from }).map((each) => paymentRecord(project, each)),
    );
    await producer.close();
    sent += 500;
  }

  async function start(model: CompiledModel): Promise<MaterializeHost> {
    const parts: Partial<TopologyParts> = {
      project,
      model,
      definitions: { kind: 'project', id: project, models: [model], streams: [], views: [], windows: [] },
      partitions: () => Promise.resolve(PARTITIONS),
      online: () => store,
      generation: (topology) => registry.generation(topology),
    };
    const host = new MaterializeHost({
      registry,
      objects,
      parts: parts as TopologyParts,
      runtime: { log, instance: 'one', directory, commitIntervalMs: 5, onFatal: (error) => fatal.push(error) },
      onNote: (text) => notes.push(text),
      clock: () => nowMs,
      lookMs: 10,
    });
    hosts.push(host);
    await host.start();
    return host;
  }

  /** Registers a version that reads a model's inputs, and makes it the champion. */
  async function promote(model: CompiledModel): Promise<number> {
    const fence = {
      model: 'fraud',
      token: (await registry.openRollout('fraud', `rollout ${model.service.hash}`, 'manual')).token,
    };
    const { uri, sha256 } = await objects.put('services', 'json', encodeService(model.service));
    const { version } = await registry.registerVersion(
      {
        ...draftOf('fraud', model.service.hash),
        service: model.service.hash,
        definition: { uri, sha256 },
        lineage: { views: Object.fromEntries(model.service.inputs.map(({ view }) => [view.name, view.hash])) },
      },
      fence,
    );
    const epoch = (await registry.deployment('fraud'))?.epoch ?? 0;
    await registry.changeDeployment(changeOf(fence, 'commit', epoch, { champion: version }));
    await registry.closeRollout(fence, 'promoted');
    return version;
  }

  const identityOf = ({ name, hash }: CompiledView): ViewIdentity => ({ project, name, hash });
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    while (fatal.length === 0 && !(await holds())) await sleep(5);
  };
  /** Waits until the store has a view as it is in the log, and compares every key with the interpreter. */
  async function expectParity(view: CompiledView): Promise<void> {
    const ends = await log.offsets(`${project}.transactions`);
    await until(async () => {
      const marks = await store.marks(identityOf(view), 1);
      const isThere = ends.every(({ partition, high }) => (marks.get(partition)?.offset ?? -1) >= high);
      return isThere && (await store.serving(identityOf(view))) === 1;
    });
    const { byKey, newest } = await eventsInLog(log, project, view);
    const found = await new FeatureReader({ project, view, store }).read([...byKey.keys()], newest);
    expect(found.map(({ features }) => features.map(({ value }) => value))).toEqual(
      [...byKey.values()].map((events) => interpreted(view, events, newest).values),
    );
  }

  test('writes the views of the definition, and those that the champion was trained on before', async () => {
    await promote(before);
    await start(now);
    await expectParity(viewNow);
    await expectParity(viewBefore);
    expect(hosts[0]?.topologies.map(({ identity }) => identity.name).sort()).toEqual([
      'materialize.customer_spending',
      `materialize.customer_spending.${viewBefore.hash.slice(0, 16)}`,
    ]);
  });

  test('begins with the views of a version that is promoted while it runs', async () => {
    await start(now);
    await expectParity(viewNow);
    await promote(before);
    await send();
    await expectParity(viewBefore);
    await expectParity(viewNow);
  });

  test('goes on with a view where the workers of before left it', async () => {
    await promote(before);
    const first = await start(before);
    await expectParity(viewBefore);
    await first.stop();
    await send();
    await start(now);
    await expectParity(viewBefore);
    await expectParity(viewNow);
  });

  test('keeps the predecessor’s views, and removes them once nobody has read them for a minute', async () => {
    const first = await promote(before);
    const second = await promote(now);
    const host = await start(now);
    await expectParity(viewBefore);
    expect(host.topologies).toHaveLength(2);
    expect(second).toBe(first + 1);

    const fence = { model: 'fraud', token: (await registry.openRollout('fraud', 'end', 'manual')).token };
    await registry.withdrawVersion('fraud', first, 'a test', fence);
    await until(() => host.topologies.length === 1);
    expect(await store.serving(identityOf(viewBefore))).toBe(1);
    // It is found unread at one look, and still at one a minute later.
    for (let minute = 0; minute < 3; minute++) {
      nowMs += 60_000;
      await sleep(50);
    }
    await until(async () => (await store.serving(identityOf(viewBefore))) === null);
    expect(await store.marks(identityOf(viewBefore), 1)).toEqual(new Map());
    await expectParity(viewNow);
  });

  test('goes on without a view that cannot be read, and says which version lacks it', async () => {
    const fence = { model: 'fraud', token: (await registry.openRollout('fraud', 'bare', 'manual')).token };
    const draft = { ...draftOf('fraud', 'b'.repeat(64)), service: before.service.hash };
    const { version } = await registry.registerVersion(draft, fence);
    await registry.changeDeployment(changeOf(fence, 'commit', 0, { champion: version }));
    await start(now);
    await expectParity(viewNow);
    expect(notes.filter((note) => note.includes('was not stored with it'))).toHaveLength(1);
  });
});
