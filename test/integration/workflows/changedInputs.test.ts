import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import { LifecycleClient } from '../../../client/lifecycleClient.js';
import { environmentOf, type Configuration } from '../../../contracts/configuration.js';
import type { ReadyFeatures } from '../../../contracts/features.js';
import { onlineStoreIn } from '../../../contracts/onlineAddress.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import { registryIn } from '../../../contracts/registryAddress.js';
import { predictionsTopic, streamTopic } from '../../../contracts/topics.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import type { CompiledModel } from '../../../models/definition.js';
import { modelOf, type Project } from '../../../models/project.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../../../stores/offline/duckdbStore.js';
import { openRegistry } from '../../../stores/registry/openRegistry.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { ShopTraffic, writeShopProject } from '../../support/shopProject.js';
import { startProgram, type TestProgram } from '../../support/testProgram.js';

const project = 'shops';
const PARTITIONS = 2;
const START = Date.parse('2024-03-01T00:00:00Z');
const HISTORY = 8_000;

let kafka: TestKafka;
let temporal: StartedTemporal;
let lifecycle: LifecycleClient;
let registry: Registry;
let configuration: Configuration;
let traffic: ShopTraffic;
let before: { readonly file: string; readonly project: Project };
let after: { readonly file: string; readonly project: Project };
const programs = new Map<string, TestProgram>();
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  kafka = await startTestKafka();
  temporal = await startTemporal({ directory: join(kafka.directory, 'temporal') });
  const home = join(kafka.directory, 'home');
  before = await writeShopProject(join(kafka.directory, 'before.mjs'), project, ['size', 'spending']);
  after = await writeShopProject(join(kafka.directory, 'after.mjs'), project, ['shop_refunds', 'size', 'spending']);
  configuration = {
    project,
    projectModule: before.file,
    kafkaBrokers: [kafka.broker],
    temporalAddress: temporal.address,
    temporalNamespace: 'default',
    home,
    registry: registryIn(home),
    online: onlineStoreIn(home),
  };
  await kafka.log.ensureTopics(
    ['orders', 'refunds'].map((name) => ({ topic: streamTopic(project, name), partitions: PARTITIONS })),
  );
  const producer = await kafka.log.producer();
  registry = await openRegistry(configuration);
  lifecycle = await LifecycleClient.connect({ address: temporal.address, namespace: 'default', project });
  closing.push(
    () => producer.close(),
    () => registry.close(),
    () => lifecycle.close(),
  );
  traffic = new ShopTraffic(project, producer, { seed: 11, from: START });
  await traffic.send(HISTORY);
});
afterAll(async () => {
  await traffic.stop();
  for (const program of programs.values()) await program.stop();
  for (const close of closing) await close();
  await temporal.stop();
  await kafka.stop();
});

/** Starts a worker on a project module. */
function launch(name: string, module: string, args: readonly string[], projectModule: string): TestProgram {
  const program = startProgram(module, args, environmentOf({ ...configuration, projectModule }));
  programs.set(name, program);
  return program;
}
const stream = (name: string, topologies: string, projectModule: string): TestProgram =>
  launch(
    name,
    'workers/stream.js',
    ['--model', 'refund', '--topologies', topologies, '--instance', name],
    projectModule,
  );

async function predictions(): Promise<PredictionRecord[]> {
  const records = await readTopic(kafka.log, predictionsTopic(project, 'refund'));
  return records.map((record) => jsonOf<PredictionRecord>(record));
}

/** Waits; a worker that ended by itself fails the test. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    for (const [name, { hasFailed, lastLines }] of programs)
      if (hasFailed()) throw new Error(`${name} ended while ${what} was waited for: ${lastLines()}`);
    await sleep(250);
  }
}

async function retrain(id: string, allowNoInstances = false): Promise<number> {
  const kind = allowNoInstances ? 'first' : 'manual';
  const workflowId = await lifecycle.startRetrain({ model: 'refund', trigger: { kind }, allowNoInstances }, id);
  await until(`the end of ${workflowId}`, async () => !(await lifecycle.isRunning(workflowId)));
  const result = await lifecycle.retrainResult(workflowId);
  expect(result, JSON.stringify(result)).toMatchObject({ outcome: 'promoted' });
  return result.outcome === 'promoted' ? result.version : 0;
}

test(
  'a model whose inputs have changed serves its champion as it was trained, and a retrain brings the new inputs in',
  { timeout: 600_000 },
  async () => {
    const [old, changed]: CompiledModel[] = [before, after].map((each) => modelOf(each.project, 'refund')) as [
      CompiledModel,
      CompiledModel,
    ];
    if (old === undefined || changed === undefined) throw new Error('there are two models');

    // A first version on the old inputs.
    const initialise = launch(
      'initialise',
      'workers/stream.js',
      ['--model', 'refund', '--topologies', 'score,outcome', '--initialise', 'end'],
      before.file,
    );
    await initialise.end();
    programs.delete('initialise');
    const liveFrom = new Map(
      (await kafka.log.offsets(streamTopic(project, 'orders'))).map(({ partition, high }) => [partition, high]),
    );
    launch('lifecycle', 'workers/lifecycle.js', [], before.file);
    stream('archive', 'archive', before.file);
    expect(await retrain('one', true)).toBe(1);
    stream('score-1', 'score', before.file);
    stream('score-2', 'score', before.file);
    let answered = 0;
    const counting = setInterval(() => {
      void kafka.log.offsets(predictionsTopic(project, 'refund')).then(
        (ranges) => {
          answered = ranges.reduce((sum, { high }) => sum + high, 0);
        },
        () => undefined,
      );
    }, 200);
    closing.push(async () => clearInterval(counting));
    traffic.start(() => HISTORY + answered, 600);
    await until('predictions of version 1', async () => (await predictions()).length > 500);

    // New code: one worker is killed with requests under way, the others end as they should.
    await programs.get('score-1')?.kill();
    for (const name of ['score-2', 'archive', 'lifecycle']) await programs.get(name)?.stop();
    const atRestart = (await predictions()).length;
    launch('lifecycle', 'workers/lifecycle.js', [], after.file);
    stream('archive', 'archive', after.file);
    stream('score-1', 'score', after.file);
    stream('score-2', 'score', after.file);
    await until('predictions after the restart', async () => (await predictions()).length > atRestart + 800);
    const restarted = (await predictions()).filter(({ also }) => also !== undefined);
    expect(restarted.length).toBeGreaterThan(0);
    for (const { version, service, vector, also } of restarted) {
      expect([version, service, vector.length]).toEqual([1, old.service.hash, old.service.columns.length]);
      expect(also?.map((each) => each.service)).toEqual([changed.service.hash]);
    }

    // A retrain on the new inputs: both versions score, each its own columns, and the new one is promoted.
    expect(await retrain('two')).toBe(2);
    const token = (await registry.rollouts('refund'))[0]?.token ?? 0;
    const ready = (await registry.journal('refund', token)).find(({ step }) => step === 'readyFeatures')?.result;
    expect(ready).toMatchObject({
      service: changed.service.hash,
      added: ['shop_refunds'],
      parity: { maxDifference: 0 },
    });
    expect((ready as ReadyFeatures).instances).toEqual(['score-1', 'score-2']);
    expect((ready as ReadyFeatures).parity?.rows).toBeGreaterThanOrEqual(64);
    await until('predictions of version 2', async () => {
      const made = await predictions();
      return made.filter(({ version, role }) => version === 2 && role === 'champion').length > 300;
    });

    // Back to the version of the old inputs.
    const back = await lifecycle.rollbackResult(await lifecycle.startRollback({ model: 'refund', reason: 'a test' }));
    expect(back).toMatchObject({ outcome: 'rolledBack', from: 2, to: 1 });
    const epoch = (await registry.deployment('refund'))?.epoch;
    await until(
      'predictions after the rollback',
      async () => (await predictions()).filter((each) => each.epoch === epoch).length > 200,
    );
    await traffic.stop();
    await until('all predictions', async () => (await predictions()).length >= traffic.sent - HISTORY);

    // Every vector as its own version's service says.
    const audit = await verifyServed(kafka.log, project, changed, liveFrom, undefined, [old.service]);
    expect(audit.findings).toEqual([]);
    expect(audit).toMatchObject({ missing: 0, repeated: 0, maxDifference: 0, records: traffic.sent - HISTORY });
    expect(audit.othersCompared).toBeGreaterThan(100);
    const made = await predictions();
    for (const { version, role, service, others, absent } of made) {
      expect(service).toBe((version === 1 ? old : changed).service.hash);
      expect([role === 'fallback', absent]).toEqual([false, undefined]);
      expect(others.every(({ score }) => score !== null)).toBe(true);
    }
    expect(new Set(made.map(({ version, role }) => `${role} ${version}`))).toEqual(
      new Set(['champion 1', 'challenger 2', 'champion 2']),
    );

    // The history of the new view.
    const input = { view: 'shop_refunds', from: '2024-03-01', to: '2034-01-01', shares: 3, slice: '1800d' };
    const result = await lifecycle.backfillResult(await lifecycle.startBackfill(input));
    expect(result).toMatchObject({ outcome: 'backfilled', parts: 6, rows: traffic.known });
    const offline = await openDuckdbStore({ threads: 1 });
    closing.push(() => offline.close());
    const objects = openDiskObjectStore(join(configuration.home, 'objects'));
    const columns = changed.service.inputs[0]?.view.features.map(({ name }) => name) ?? [];
    for (const { uri, sha256, rows } of result.files) {
      const file = await objects.localPath(uri, sha256);
      const matrix = await offline.readVectors({ file, rows, columns, labelled: false, fields: 0 });
      expect(matrix.values.every((value) => value >= 0)).toBe(true);
    }
  },
);
