import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Configuration } from '../../../contracts/configuration.js';
import { registryIn } from '../../../contracts/registryAddress.js';
import {
  groupId,
  hopTopic,
  predictionsTopic,
  streamTopic,
  topologyPrefix,
  type TopologyIdentity,
} from '../../../contracts/topics.js';
import { WorkerProcess } from '../../../examples/fraud/demo/workerProcess.js';
import { startKafka, type KafkaListener, type StartedKafka } from '../../../infra/kafka.js';
import { freePort } from '../../../infra/ports.js';
import { startRedis, type StartedRedis } from '../../../infra/redis.js';
import { openKafkaLog } from '../../../stores/log/kafkaLog.js';
import type { Log, LogProducer } from '../../../stores/log/log.js';
import { openOnlineStore } from '../../../stores/online/openOnlineStore.js';
import type { OnlineStore } from '../../../stores/online/onlineStore.js';
import { promoteTrees } from '../../promoteTrees.js';
import { orders, returnRisk, returns } from './project.js';
import { Proxy } from './proxy.js';
import { WorkerLogs } from './workerLogs.js';

export const PARTITIONS = 4;
export const MODEL = returnRisk.compiled;

/** Workers of the suite and what each of them runs. Of the scorers one reaches the broker by way of a proxy. */
const TOPOLOGIES = {
  'score-1': 'score',
  'score-2': 'score',
  'score-3': 'score',
  'score-4': 'score',
  online: 'materialize',
  'online-2': 'materialize',
  side: 'outcome,monitor,archive',
  relay: 'relay',
} as const;
export type WorkerName = keyof typeof TOPOLOGIES;
/** Those that always run; the others join for a while. */
export const STANDING: readonly WorkerName[] = ['score-1', 'score-2', 'online', 'side'];

const BROKER_MB = 400;
/** How long a group may take to agree: a session, the rounds of joining, and a machine that is busy. */
const SHARED_MS = 120_000;

/** Real servers and worker processes of one run, on free ports in a folder of its own. */
export class StreamCluster {
  private readonly workers = new Map<WorkerName, WorkerProcess>();
  readonly logs: WorkerLogs;
  /** Where the log of a worker's newest life begins. */
  private readonly lives = new Map<WorkerName, number>();

  private constructor(
    readonly directory: string,
    readonly configuration: Configuration,
    public kafka: StartedKafka,
    /** Between `score-2` and the broker. */
    readonly kafkaProxy: Proxy,
    private readonly listener: KafkaListener,
    public redis: StartedRedis,
    /** Between everybody and the online store. */
    readonly redisProxy: Proxy,
    readonly log: Log,
    readonly producer: LogProducer,
    readonly online: OnlineStore,
  ) {
    this.logs = new WorkerLogs(join(directory, 'logs'));
  }

  /** Servers and topics; no worker yet. */
  static async start(seed: number): Promise<StreamCluster> {
    const directory = await mkdtemp(join(tmpdir(), 'tidemill-chaos-'));
    const redis = await startRedis({ directory: join(directory, 'redis') });
    const redisProxy = await Proxy.start(redis.port);
    const port = await freePort();
    const kafkaProxy = await Proxy.start(port);
    const listener: KafkaListener = {
      name: 'PROXIED',
      protocol: 'PLAINTEXT',
      port,
      advertisedPort: kafkaProxy.port,
    };
    const kafka = await startKafka({ directory: join(directory, 'kafka'), memoryMb: BROKER_MB, listeners: [listener] });
    const home = join(directory, 'home');
    const configuration: Configuration = {
      project: `chaos-${seed}`,
      projectModule: fileURLToPath(new URL('./project.js', import.meta.url)),
      kafkaBrokers: [kafka.broker],
      temporalAddress: '127.0.0.1:1',
      temporalNamespace: 'default',
      home,
      registry: registryIn(home),
      online: { kind: 'redis', url: `redis://127.0.0.1:${redisProxy.port}` },
    };
    await mkdir(home, { recursive: true });
    await mkdir(join(directory, 'armed'), { recursive: true });
    const log = openKafkaLog({ brokers: configuration.kafkaBrokers, clientId: 'chaos' });
    await log.ensureTopics(
      [orders, returns].map(({ compiled: { name } }) => ({
        topic: streamTopic(configuration.project, name),
        partitions: PARTITIONS,
      })),
    );
    await promoteTrees(configuration, MODEL, { trees: 10, depth: 4 });
    const producer = await log.producer();
    const online = openOnlineStore({ kind: 'redis', url: `redis://127.0.0.1:${redisProxy.port}` });
    return new StreamCluster(
      directory,
      configuration,
      kafka,
      kafkaProxy,
      listener,
      redis,
      redisProxy,
      log,
      producer,
      online,
    );
  }

  get score(): TopologyIdentity {
    return { project: this.configuration.project, name: `score.${MODEL.name}`, generation: 1 };
  }
  get topics() {
    const { project } = this.configuration;
    return {
      requests: streamTopic(project, orders.compiled.name),
      returns: streamTopic(project, returns.compiled.name),
      hop: hopTopic(this.score, 'shop'),
      predictions: predictionsTopic(project, MODEL.name),
    } as const;
  }

  /** Says that what is in the log by now is history, and waits for it. */
  async initialise(): Promise<void> {
    const args = ['--model', MODEL.name, '--topologies', 'score,outcome', '--initialise', 'end'];
    const logFile = this.logs.fileOf('initialise');
    await (await WorkerProcess.start('initialise', 'workers/stream.js', args, this.configuration, logFile)).end();
  }

  /**
   * Starts a worker; its fail points are armed by `arm`, or by `env` from its first moment on.
   *
   * @param configuration what it is told otherwise.
   */
  async startWorker(
    name: WorkerName,
    env: Readonly<Record<string, string>> = {},
    configuration: Partial<Configuration> = {},
  ): Promise<WorkerProcess> {
    const brokers = name === 'score-2' ? [`127.0.0.1:${this.kafkaProxy.port}`] : this.configuration.kafkaBrokers;
    const args = ['--model', MODEL.name, '--topologies', TOPOLOGIES[name], '--instance', name];
    this.lives.set(name, await this.logs.end(name));
    const worker = await WorkerProcess.start(
      name,
      'workers/stream.js',
      args,
      { ...this.configuration, kafkaBrokers: brokers, ...configuration },
      this.logs.fileOf(name),
      {
        // Fail points are not there in production.
        NODE_ENV: 'test',
        TIDEMILL_METRICS_PORT: 'off',
        TIDEMILL_FAIL_POINT: `@${this.armedFile(name)}`,
        ...env,
      },
    );
    this.workers.set(name, worker);
    return worker;
  }

  worker(name: WorkerName): WorkerProcess {
    const found = this.workers.get(name);
    if (found === undefined) throw new Error(`there is no worker ${name}`);
    return found;
  }

  /** Starts those of the standing workers that do not run. */
  async startStanding(): Promise<void> {
    for (const name of STANDING) if (this.workers.get(name)?.isRunning !== true) await this.startWorker(name);
  }

  /** Waits until all standing workers have come up: one that is still starting ends where its servers are away. */
  async up(): Promise<void> {
    for (const name of STANDING) await this.logs.find(name, /"msg":"running"/, this.lives.get(name) ?? 0, SHARED_MS);
  }

  async stopWorker(name: WorkerName): Promise<void> {
    await this.workers.get(name)?.stop();
    this.workers.delete(name);
  }

  /** Waits for a worker that ends by itself, for so long at most. @returns whether it did. */
  async ended(name: WorkerName, withinMs: number): Promise<boolean> {
    const worker = this.worker(name);
    const until = performance.now() + withinMs;
    while (worker.isRunning && performance.now() < until) await sleep(20);
    return !worker.isRunning;
  }

  /** Arms a fail point of a worker that runs: `POINT:TIMES` or `POINT:TIMES:stop`. */
  async arm(name: WorkerName, setting: string): Promise<void> {
    await writeFile(this.armedFile(name), setting);
    this.worker(name).signal('SIGUSR2');
  }

  /** Partitions of the request topic that a member of the score group has; all where it has only later stages. */
  async partitionsOf(name: WorkerName): Promise<readonly number[]> {
    const members = await this.log.groupMembers(groupId(this.score));
    const own = members.find((each) => each.name === name)?.partitions ?? [];
    const entries = own.filter(({ topic }) => topic === this.topics.requests).map(({ partition }) => partition);
    return entries.length > 0 ? entries : Array.from({ length: PARTITIONS }, (_, at) => at);
  }

  /** Tasks of the score group that a worker runs. */
  async tasksOf(name: WorkerName): Promise<readonly string[]> {
    const members = await this.log.groupMembers(groupId(this.score));
    const own = members.find((each) => each.name === name)?.partitions ?? [];
    const ids = own.map(({ topic, partition }) => {
      const stage = topic === this.topics.requests ? 'account' : 'shop';
      return `${stage}-${partition}`;
    });
    return [...new Set(ids)];
  }

  /** Waits until each of these, and nobody else, has tasks of the score group. */
  async shared(names: readonly WorkerName[] = ['score-1', 'score-2']): Promise<void> {
    const until = performance.now() + SHARED_MS;
    for (;;) {
      if (performance.now() > until) throw new Error(`the tasks were never shared by ${names.join(', ')}`);
      const members = await this.log.groupMembers(groupId(this.score)).catch(() => []);
      const busy = members.filter(({ partitions }) => partitions.length > 0).map(({ name }) => name);
      if (names.every((name) => busy.includes(name)) && busy.length === names.length) return;
      for (const name of names) this.worker(name).requireRunning();
      await sleep(200);
    }
  }

  /** A score task that nobody runs has to replay its whole log. */
  async dropSnapshot(task: string): Promise<void> {
    await rm(this.snapshotFolder(task), { recursive: true, force: true });
  }

  /** Folder of the snapshots of a score task. */
  snapshotFolder(task: string): string {
    return join(this.snapshotsFolder, task);
  }
  get snapshotsFolder(): string {
    return join(this.configuration.home, 'streams', 'snapshots', topologyPrefix(this.score));
  }

  /** kill -9 of the broker, and a start on its data. */
  async restartKafka(downMs: number): Promise<void> {
    const { pid, port } = this.kafka;
    process.kill(pid, 'SIGKILL');
    await sleep(downMs);
    this.kafka = await startKafka({
      directory: join(this.directory, 'kafka'),
      port,
      memoryMb: BROKER_MB,
      listeners: [this.listener],
    });
  }

  /** Stops everything that was started and removes the folder, unless it is wanted for a look. */
  async stop(keep: boolean): Promise<void> {
    for (const worker of this.workers.values()) worker.signal('SIGCONT');
    await Promise.all([...this.workers.values()].map((worker) => worker.stop()));
    await this.online.close();
    await this.producer.close();
    await this.log.close();
    await Promise.all([this.kafkaProxy.close(), this.redisProxy.close()]);
    await Promise.all([this.kafka.stop(), this.redis.stop()]);
    if (!keep) await rm(this.directory, { recursive: true, force: true });
  }

  private armedFile(name: string): string {
    return join(this.directory, 'armed', name);
  }
}
