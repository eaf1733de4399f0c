import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { deploymentsOf, verifyRoles } from '../../../activities/audit/verifyRoles.js';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import type { Configuration } from '../../../contracts/configuration.js';
import type { DeploymentRecord, PredictionRecord } from '../../../contracts/records.js';
import { deploymentsTopic, predictionsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import { logisticToOnnx } from '../../../models/onnx/linearModel.js';
import type { LogProducer } from '../../../stores/log/log.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { Fence, Registry } from '../../../stores/registry/registry.js';
import { openRegistry } from '../../../stores/registry/openRegistry.js';
import { changeOf, draftOf } from '../../contract/stores/registry/registrySuite.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { paymentRecord, payments, START } from '../../support/payments.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';

const project = 'modestest';
const PARTITIONS = 4;
const model = fraud.compiled;
/** Predictions that each deployment has to have made before the next one comes. */
const ROWS_PER_EPOCH = 400;
/** Requests ahead of their predictions at most, so that a change meets requests in flight and not a backlog. */
const MAX_AHEAD = 1_500;

let kafka: TestKafka;
let producer: LogProducer;
let registry: Registry;
let fence: Fence;
let configuration: Configuration;

/** Log-odds of a version: they depend on the amount, which is the first column, and on the version. */
const marginOf = (version: number, amount: number): number => version - 2 + amount / (100 * version);

beforeAll(async () => {
  kafka = await startTestKafka();
  producer = await kafka.log.producer();
  configuration = fraudConfiguration(project, kafka.broker, join(kafka.directory, 'home'));
  await kafka.log.ensureTopics([
    ...['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: PARTITIONS })),
    { topic: deploymentsTopic(project), partitions: 1, compacted: true },
  ]);
  registry = await openRegistry(configuration);
  fence = { model: model.name, token: (await registry.openRollout(model.name, 'test', 'manual')).token };
  const objects = openDiskObjectStore(join(configuration.home, 'objects'));
  const width = model.service.columns.length;
  for (const version of [1, 2]) {
    const weights = new Float64Array(width);
    weights[0] = 1 / (100 * version);
    const [means, scales] = [new Float64Array(width), new Float64Array(width).fill(1)];
    const file = Buffer.from(logisticToOnnx({ means, scales, weights, intercept: version - 2 }));
    const { uri, sha256 } = await objects.put('models', 'onnx', file);
    const artifact = { uri, sha256, bytes: file.length };
    await registry.registerVersion({ ...draftOf(model.name, sha256), artifact, service: model.service.hash }, fence);
  }
});
afterAll(async () => {
  await registry.close();
  await producer.close();
  await kafka.stop();
});

/** Changes the head, and publishes it as the lifecycle worker does. */
async function deploy(next: Partial<DeploymentRecord>): Promise<number> {
  const epoch = (await registry.deployment(model.name))?.epoch ?? 0;
  const head = await registry.changeDeployment(
    changeOf(fence, `step ${epoch + 1}`, epoch, { salt: 'fraud/1', ...next }),
  );
  const topic = deploymentsTopic(project);
  await producer.send([{ topic, partition: 0, key: model.name, value: JSON.stringify(head) }]);
  return head.epoch;
}

async function predictions(): Promise<PredictionRecord[]> {
  const records = await readTopic(kafka.log, predictionsTopic(project, model.name));
  return records.map((record) => jsonOf<PredictionRecord>(record));
}

/** Sends payments until it is stopped, never far ahead of what is answered. */
function sendPayments(answered: () => number): { stop(): Promise<number> } {
  let sent = 0;
  let stopping = false;
  const sending = (async () => {
    while (!stopping) {
      if (sent - answered() < MAX_AHEAD) {
        const options = { seed: sent + 1, firstId: sent, from: START + sent * 5_000, everyMs: 5_000 };
        const batch = payments(50, options);
        await producer.send(batch.map((each) => paymentRecord(project, each)));
        sent += batch.length;
      }
      await sleep(20);
    }
  })();
  return {
    stop: async () => {
      stopping = true;
      await sending;
      return sent;
    },
  };
}

test(
  'a model goes from single to shadow, canary and its new champion while records flow',
  { timeout: 240_000 },
  async () => {
    await deploy({ champion: 1 });
    const initialise = new StreamWorker(configuration, ['--model', 'fraud', '--initialise', 'start']);
    expect(await initialise.end()).toMatchObject({ code: 0 });
    const start = (name: string): StreamWorker =>
      new StreamWorker(configuration, ['--model', 'fraud', '--instance', name]);
    const one = start('one');
    let two = start('two');

    let seen: PredictionRecord[] = [];
    const sending = sendPayments(() => seen.length);
    const untilServed = async (epoch: number): Promise<void> => {
      while (seen.filter((each) => each.epoch === epoch).length < ROWS_PER_EPOCH) {
        await sleep(200);
        seen = await predictions();
      }
    };
    const both = { champion: 1, challenger: 2 } as const;
    await untilServed(1);
    await untilServed(await deploy({ ...both, mode: 'shadow' }));
    const small = await deploy({ ...both, mode: 'canary', share: 0.1 });
    await untilServed(small);
    // One dies in the canary, and joins again in its next step.
    await two.kill();
    const large = await deploy({ ...both, mode: 'canary', share: 0.5 });
    two = start('two');
    await untilServed(large);
    await deploy({ ...both, mode: 'canary', share: 0.5, prepare: 2 });
    const last = await deploy({ champion: 2 });
    await untilServed(last);
    while ((await registry.liveInstances(model.name)).filter(({ activeEpoch }) => activeEpoch === last).length < 2)
      await sleep(100);
    const sent = await sending.stop();
    while (seen.length < sent) {
      await sleep(200);
      seen = await predictions();
    }
    expect(await one.stop()).toMatchObject({ code: 0 });
    expect(await two.stop()).toMatchObject({ code: 0 });

    // Each record once, each vector as the interpreter computes it.
    const audit = await verifyServed(kafka.log, project, model, new Map());
    expect(audit.findings).toEqual([]);
    expect(audit).toMatchObject({ records: sent, predictions: sent, missing: 0, repeated: 0, maxDifference: 0 });

    // Each row served by whom its deployment and the split name, with both scores wherever there are two versions.
    seen = await predictions();
    const deployments = deploymentsOf(await registry.auditRows(model.name));
    const roles = verifyRoles(seen, deployments);
    expect(roles).toMatchObject({ findings: [], wrong: 0, standIns: 0, unpaired: 0 });
    expect(roles.served.fallback).toBe(0);
    const ofTwo = seen.filter(({ epoch }) => deployments.get(epoch)?.mode !== 'single');
    expect(roles.paired).toBe(ofTwo.length);
    expect(ofTwo.length).toBeGreaterThanOrEqual(3 * ROWS_PER_EPOCH);

    // Scores are those of the versions that they are said to be of.
    for (const { version, score, vector, others } of seen) {
      for (const each of [{ version, score }, ...others]) {
        const expected = 1 / (1 + Math.exp(-marginOf(each.version, vector[0] as number)));
        expect(Math.abs((each.score as number) - expected)).toBeLessThan(1e-5);
      }
    }

    // The arms are of customers: who is in at a tenth is in at a half.
    const insideAt = (epoch: number): Set<unknown> =>
      new Set(seen.filter((each) => each.epoch === epoch && each.role === 'challenger').map(({ entity }) => entity));
    const [tenth, half] = [insideAt(small), insideAt(large)];
    expect(tenth.size).toBeGreaterThan(0);
    expect(half.size).toBeGreaterThan(tenth.size);
    const outside = seen.filter((each) => each.epoch === large && each.arm === 'champion' && tenth.has(each.entity));
    expect(outside).toEqual([]);
    expect(
      seen.filter(({ epoch }) => epoch === last).every(({ version, role }) => version === 2 && role === 'champion'),
    ).toBe(true);
  },
);
