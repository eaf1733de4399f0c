import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Configuration } from '../../contracts/configuration.js';
import { onlineStoreIn } from '../../contracts/onlineAddress.js';
import { registryIn } from '../../contracts/registryAddress.js';
import { groupId, hopTopic, predictionsTopic, streamTopic } from '../../contracts/topics.js';
import { loadHistory } from '../../examples/fraud/demo/loadHistory.js';
import { WorkerProcess } from '../../examples/fraud/demo/workerProcess.js';
import { mergedEvents } from '../../examples/fraud/generator/events.js';
import { generateFraud } from '../../examples/fraud/generator/generateFraud.js';
import { fraud } from '../../examples/fraud/project.js';
import { startKafka } from '../../infra/kafka.js';
import { boosterToOnnx } from '../../models/onnx/treeEnsemble.js';
import { openKafkaLog } from '../../stores/log/kafkaLog.js';
import type { Log } from '../../stores/log/log.js';
import { openDiskObjectStore } from '../../stores/objects/diskObjectStore.js';
import { openRegistry } from '../../stores/registry/openRegistry.js';
import { fullBooster, spread } from '../fullBooster.js';

/**
 * Cost of the fraud topology on a real broker: 15 features over two hops, 100 full trees, predictions written, exactly-once.
 * Payments and labels are in the log before a worker starts, which then takes them as fast as it can.
 *
 *   node scripts/run.mjs dist/bench/streams/fraudScoring.js [--days 40] [--workers 1] [--profile FOLDER] [--json]
 */
const PARTITIONS = 4;
const SCORE = { project: 'bench', name: `score.${fraud.compiled.name}`, generation: 1 };

export interface FraudScoring {
  readonly requests: number;
  readonly labels: number;
  readonly seconds: number;
  /** Of all score workers; the start of the process is left out. */
  readonly cpuSeconds: number;
  readonly requestsPerSecond: number;
  readonly requestsPerCpuSecond: number;
  readonly eventsPerCpuSecond: number;
  readonly memoryMb: number;
}

async function measure(options: {
  readonly days: number;
  readonly workers: number;
  readonly profile: string | undefined;
  readonly say: (text: string) => void;
}): Promise<FraudScoring> {
  const { days, say } = options;
  const model = fraud.compiled;
  const directory = await mkdtemp(join(tmpdir(), 'tidemill-bench-'));
  const kafka = await startKafka({ directory: join(directory, 'kafka'), memoryMb: 512 });
  const home = join(directory, 'home');
  const configuration: Configuration = {
    project: 'bench',
    projectModule: fileURLToPath(new URL('../../examples/fraud/project.js', import.meta.url)),
    kafkaBrokers: [kafka.broker],
    temporalAddress: 'localhost:1',
    temporalNamespace: 'default',
    home,
    registry: registryIn(home),
    online: onlineStoreIn(home),
  };
  const log = openKafkaLog({ brokers: configuration.kafkaBrokers, clientId: 'bench' });
  const workers: WorkerProcess[] = [];
  const start = async (name: string, args: readonly string[], env = {}): Promise<WorkerProcess> => {
    const all = ['--topologies', 'score', '--model', model.name, ...args];
    const logFile = join(directory, 'logs', `${name}.log`);
    return WorkerProcess.start(name, 'workers/stream.js', all, configuration, logFile, env);
  };
  try {
    const topics = [model.request.name, model.label.stream.name].map((name) => streamTopic('bench', name));
    await log.ensureTopics(topics.map((topic) => ({ topic, partitions: PARTITIONS })));
    const producer = await log.producer();
    const events = mergedEvents(generateFraud({ seed: 1, days, driftDay: null }));
    await loadHistory(producer, 'bench', events, (day, records) => {
      if (day % 10 === 9) say(`day ${day + 1}: ${records} records in the log`);
    });
    await producer.close();
    await promoteTrees(configuration);
    await (await start('initialise', ['--initialise', 'start'])).end();
    const [requests, labels] = (await Promise.all(topics.map((topic) => endOf(log, topic)))) as [number, number];

    say(`${requests} payments, ${labels} labels`);
    const preload = new URL('../cpuProfile.js', import.meta.url).href;
    const profiling =
      options.profile === undefined ? {} : { NODE_OPTIONS: `--import ${preload}`, TIDEMILL_PROFILE: options.profile };
    for (let at = 0; at < options.workers; at++) {
      const name = `score-${at + 1}`;
      workers.push(await start(name, ['--instance', name], profiling));
    }
    const predictions = predictionsTopic('bench', model.name);
    const hop = hopTopic(SCORE, 'terminal');
    while (((await log.partitionCount(predictions)) === null ? 0 : await endOf(log, predictions)) === 0) {
      for (const worker of workers) worker.requireRunning();
      await sleep(20);
    }
    const started = performance.now();
    const startCpu = await cpuOf(workers);
    const already = requests - (await lag(log, topics.slice(0, 1)));
    for (;;) {
      for (const worker of workers) worker.requireRunning();
      // Committed offsets stand before the marker that ends a transaction: the last records are all that counts.
      if ((await lag(log, [...topics, hop])) <= PARTITIONS) break;
      await sleep(50);
    }
    const seconds = (performance.now() - started) / 1_000;
    const cpuSeconds = (await cpuOf(workers)) - startCpu;
    const memory = await Promise.all(workers.map((worker) => peakMb(worker)));
    const done = requests - already;
    const share = done / requests;
    return {
      requests,
      labels,
      seconds: round(seconds),
      cpuSeconds: round(cpuSeconds),
      requestsPerSecond: Math.round(done / seconds),
      requestsPerCpuSecond: Math.round(done / cpuSeconds),
      eventsPerCpuSecond: Math.round((done + labels * share) / cpuSeconds),
      memoryMb: Math.max(...memory),
    };
  } finally {
    for (const worker of workers) await worker.stop();
    await log.close();
    await kafka.stop();
    await rm(directory, { recursive: true });
  }
}

/** A version of 100 full trees of depth 6, as champion: what it costs is that of a trained one. */
async function promoteTrees(configuration: Configuration): Promise<void> {
  const { compiled: model } = fraud;
  const registry = await openRegistry(configuration);
  const objects = openDiskObjectStore(join(configuration.home, 'objects'));
  const columns = model.service.columns.length;
  const booster = fullBooster({ columns, trees: 100, depth: 6, below: spread(1) });
  const artifact = await objects.put('models', 'onnx', boosterToOnnx(booster));
  const { token } = await registry.openRollout(model.name, 'bench', 'first');
  const fence = { model: model.name, token };
  const { version } = await registry.registerVersion(
    {
      model: model.name,
      artifact,
      service: model.service.hash,
      columns: model.service.columns.map(({ name }) => name),
      dataset: { uri: 'none', sha256: 'none' },
      trainer: 'xgboost',
      hyperparameters: {},
      codeVersion: 'bench',
      workflow: null,
      trigger: 'first',
      metrics: {},
      lineage: {},
    },
    fence,
  );
  await registry.changeDeployment({
    fence,
    step: 'commit',
    expectEpoch: 0,
    next: { mode: 'single', champion: version, challenger: null, share: 0, salt: '', prepare: null },
    actor: 'bench',
    reason: 'bench',
    evidence: null,
  });
  await registry.close();
}

async function endOf(log: Log, topic: string): Promise<number> {
  return (await log.offsets(topic)).reduce((sum, { high }) => sum + high, 0);
}

/** Records of topics that the score group has not committed yet. */
async function lag(log: Log, topics: readonly string[]): Promise<number> {
  let left = 0;
  for (const topic of topics) {
    const ends = await log.offsets(topic);
    const committed = await log.committed(
      groupId(SCORE),
      ends.map(({ partition }) => ({ topic, partition })),
    );
    for (const { partition, high } of ends)
      left += high - (committed.find((each) => each.partition === partition)?.offset ?? 0);
  }
  return left;
}

async function cpuOf(workers: readonly WorkerProcess[]): Promise<number> {
  return (await Promise.all(workers.map((worker) => worker.cpuSeconds()))).reduce((sum, each) => sum + each, 0);
}

async function peakMb(worker: WorkerProcess): Promise<number> {
  const status = await readFile(`/proc/${worker.pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const { values } = parseArgs({
  options: {
    days: { type: 'string', default: '40' },
    workers: { type: 'string', default: '1' },
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const found = await measure({
  days: Number(values.days),
  workers: Number(values.workers),
  profile: values.profile,
  say: (text) => process.stderr.write(`${text}\n`),
});
if (values.json) console.log(JSON.stringify(found));
else console.table(found);
