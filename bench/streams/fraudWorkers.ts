import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Configuration } from '../../contracts/configuration.js';
import { onlineStoreIn } from '../../contracts/onlineAddress.js';
import { registryIn } from '../../contracts/registryAddress.js';
import { groupId, hopTopic, predictionsTopic, streamTopic } from '../../contracts/topics.js';
import { WorkerProcess } from '../../examples/fraud/demo/workerProcess.js';
import { fraud } from '../../examples/fraud/project.js';
import { startKafka } from '../../infra/kafka.js';
import { openKafkaLog } from '../../stores/log/kafkaLog.js';
import type { Log } from '../../stores/log/log.js';
import { promoteTrees } from '../promoteTrees.js';

const PROJECT = 'bench';
const PARTITIONS = 4;
const { compiled: model } = fraud;
const SCORE = { project: PROJECT, name: `score.${model.name}`, generation: 1 };

/** The topics of the fraud topology on the bench. */
export const TOPICS = {
  project: PROJECT,
  payments: streamTopic(PROJECT, model.request.name),
  labels: streamTopic(PROJECT, model.label.stream.name),
  hop: hopTopic(SCORE, 'terminal'),
  predictions: predictionsTopic(PROJECT, model.name),
} as const;

/** A broker, a registry with a champion of 100 full trees, and score workers of the fraud project: all real. */
export class FraudWorkers {
  private readonly workers: WorkerProcess[] = [];

  private constructor(
    private readonly directory: string,
    private readonly configuration: Configuration,
    readonly log: Log,
    private readonly stopKafka: () => Promise<void>,
  ) {}

  static async open(): Promise<FraudWorkers> {
    const directory = await mkdtemp(join(tmpdir(), 'tidemill-bench-'));
    const kafka = await startKafka({ directory: join(directory, 'kafka'), memoryMb: 512 });
    const home = join(directory, 'home');
    const configuration: Configuration = {
      project: PROJECT,
      projectModule: fileURLToPath(new URL('../../examples/fraud/project.js', import.meta.url)),
      kafkaBrokers: [kafka.broker],
      temporalAddress: 'localhost:1',
      temporalNamespace: 'default',
      home,
      registry: registryIn(home),
      online: onlineStoreIn(home),
    };
    const log = openKafkaLog({ brokers: configuration.kafkaBrokers, clientId: PROJECT });
    await log.ensureTopics([TOPICS.payments, TOPICS.labels].map((topic) => ({ topic, partitions: PARTITIONS })));
    await promoteTrees(configuration, model, { trees: 100, depth: 6 });
    return new FraudWorkers(directory, configuration, log, () => kafka.stop());
  }

  /** Puts the group at the start of the topics, or at their end. */
  async initialise(at: 'start' | 'end'): Promise<void> {
    await (await this.launch('initialise', ['--initialise', at])).end();
  }

  /** @param profile folder for CPU profiles of the workers. */
  async start(count: number, profile: string | undefined, args: readonly string[] = []): Promise<void> {
    const preload = new URL('../cpuProfile.js', import.meta.url).href;
    const env = profile === undefined ? {} : { NODE_OPTIONS: `--import ${preload}`, TIDEMILL_PROFILE: profile };
    if (profile !== undefined) await mkdir(profile, { recursive: true });
    for (let at = 1; at <= count; at++) {
      const name = `score-${at}`;
      this.workers.push(await this.launch(name, ['--instance', name, ...args], env));
    }
  }

  private launch(name: string, args: readonly string[], env = {}): Promise<WorkerProcess> {
    const all = ['--topologies', 'score', '--model', model.name, ...args];
    const logFile = join(this.directory, 'logs', `${name}.log`);
    return WorkerProcess.start(name, 'workers/stream.js', all, this.configuration, logFile, env);
  }

  requireRunning(): void {
    for (const worker of this.workers) worker.requireRunning();
  }

  /** Records of a topic, the markers of transactions counted. */
  async endOf(topic: string): Promise<number> {
    if ((await this.log.partitionCount(topic)) === null) return 0;
    return (await this.log.offsets(topic)).reduce((sum, { high }) => sum + high, 0);
  }

  /** Records of topics that the score group has not committed yet. */
  async lag(topics: readonly string[]): Promise<number> {
    let left = 0;
    for (const topic of topics) {
      const ends = await this.log.offsets(topic);
      const partitions = ends.map(({ partition }) => ({ topic, partition }));
      const committed = await this.log.committed(groupId(SCORE), partitions);
      for (const { partition, high } of ends)
        left += high - (committed.find((each) => each.partition === partition)?.offset ?? 0);
    }
    return left;
  }

  /** Has everything that is in the log been answered? */
  async isDone(): Promise<boolean> {
    // A committed offset stands before the marker that ends its transaction: a record a partition is all that may be left.
    return (await this.lag([TOPICS.payments, TOPICS.labels, TOPICS.hop])) <= PARTITIONS;
  }

  /** CPU seconds of all score workers so far. */
  async cpuSeconds(): Promise<number> {
    return (await Promise.all(this.workers.map((worker) => worker.cpuSeconds()))).reduce((sum, each) => sum + each, 0);
  }

  /** Greatest memory that one of the workers has held, MB. */
  async peakMb(): Promise<number> {
    const peaks = this.workers.map(async ({ pid }) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024);
    });
    return Math.max(...(await Promise.all(peaks)));
  }

  async close(): Promise<void> {
    for (const worker of this.workers) await worker.stop();
    await this.log.close();
    await this.stopKafka();
    await rm(this.directory, { recursive: true });
  }
}
