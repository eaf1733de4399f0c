import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'libsql';
import { LifecycleClient } from '../../../client/lifecycleClient.js';
import type { Configuration } from '../../../contracts/configuration.js';
import { onlineStoreIn } from '../../../contracts/onlineAddress.js';
import { registryIn } from '../../../contracts/registryAddress.js';
import { streamTopic } from '../../../contracts/topics.js';
import { WorkerProcess } from '../../../examples/fraud/demo/workerProcess.js';
import { startKafka, type StartedKafka } from '../../../infra/kafka.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import { openKafkaLog } from '../../../stores/log/kafkaLog.js';
import type { Log, LogProducer } from '../../../stores/log/log.js';
import { openRegistry } from '../../../stores/registry/openRegistry.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { refund } from './project.js';
import { Traffic } from './traffic.js';

const PARTITIONS = 2;
const START = Date.parse('2024-03-01T00:00:00Z');
const HISTORY_ORDERS = 12_000;
/** Orders a second while rollouts are watched: about an hour of event time. */
const RATE = 400;

export const MODEL = refund.compiled.name;
export const SCORERS = ['score-1', 'score-2'] as const;

/** Real servers and workers of one chaos run, on free ports in a folder of its own. */
export class Cluster {
  private readonly workers = new Map<string, WorkerProcess>();

  private constructor(
    readonly directory: string,
    readonly configuration: Configuration,
    public kafka: StartedKafka,
    public temporal: StartedTemporal,
    readonly log: Log,
    readonly producer: LogProducer,
    readonly registry: Registry,
    public lifecycle: LifecycleClient,
    readonly traffic: Traffic,
  ) {}

  static async start(
    seed: number,
    say: (text: string) => void,
    scorers: readonly string[] = SCORERS,
  ): Promise<Cluster> {
    const directory = await mkdtemp(join(tmpdir(), 'tidemill-chaos-'));
    const [kafka, temporal] = await Promise.all([
      startKafka({ directory: join(directory, 'kafka'), memoryMb: 384 }),
      startTemporal({ directory: join(directory, 'temporal') }),
    ]);
    const project = `chaos-${seed}`;
    const configuration: Configuration = {
      project,
      projectModule: fileURLToPath(new URL('./project.js', import.meta.url)),
      kafkaBrokers: [kafka.broker],
      temporalAddress: temporal.address,
      temporalNamespace: 'default',
      home: join(directory, 'home'),
      registry: registryIn(join(directory, 'home')),
      online: onlineStoreIn(join(directory, 'home')),
    };
    await mkdir(configuration.home, { recursive: true });
    const log = openKafkaLog({ brokers: configuration.kafkaBrokers, clientId: 'chaos' });
    await log.ensureTopics(
      ['orders', 'refunds'].map((name) => ({ topic: streamTopic(project, name), partitions: PARTITIONS })),
    );
    const producer = await log.producer();
    const traffic = new Traffic(project, producer, { seed, from: START });
    say('history');
    await traffic.send(HISTORY_ORDERS);
    const lifecycle = await LifecycleClient.connect({ address: temporal.address, namespace: 'default', project });
    const registry = await openRegistry(configuration);
    const cluster = new Cluster(directory, configuration, kafka, temporal, log, producer, registry, lifecycle, traffic);
    say('workers');
    await cluster.begin(scorers);
    return cluster;
  }

  private async begin(scorers: readonly string[]): Promise<void> {
    await (await this.stream('initialise', ['--topologies', 'score,outcome', '--initialise', 'end'])).end();
    await this.startLifecycle();
    await this.stream('archive', ['--topologies', 'archive', '--instance', 'archive']);
    await this.stream('monitor', ['--topologies', 'outcome,monitor,relay', '--instance', 'monitor']);
    const first = await this.lifecycle.startRetrain(
      { model: MODEL, trigger: { kind: 'first' }, allowNoInstances: true },
      'first',
    );
    const result = await this.lifecycle.retrainResult(first);
    if (result.outcome !== 'promoted') throw new Error(`the first version was not promoted: ${JSON.stringify(result)}`);
    for (const name of scorers) await this.startScoring(name);
    while ((await this.registry.liveInstances(MODEL)).length < scorers.length) await sleep(100);
    this.traffic.start(RATE);
  }

  async startLifecycle(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.launch('lifecycle', 'workers/lifecycle.js', [], env);
  }

  /** Ends the lifecycle worker where it still runs, and starts another one. @param project one of the modules beside this. */
  async restartLifecycle(env: Readonly<Record<string, string>> = {}, project?: 'approved' | 'slow'): Promise<void> {
    await this.worker('lifecycle').stop();
    const changed =
      project === undefined
        ? {}
        : { TIDEMILL_PROJECT: fileURLToPath(new URL(`./${project}Project.js`, import.meta.url)) };
    await this.startLifecycle({ ...changed, ...env });
  }

  /** Waits until somebody has ended the lifecycle worker: a fail point, that is. */
  async lifecycleEnded(): Promise<void> {
    while (this.worker('lifecycle').isRunning) await sleep(50);
  }

  async startScoring(name: string, env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.stream(name, ['--topologies', 'score', '--instance', name], env);
  }

  private stream(name: string, args: readonly string[], env = {}): Promise<WorkerProcess> {
    return this.launch(name, 'workers/stream.js', ['--model', MODEL, ...args], env);
  }

  private async launch(
    name: string,
    module: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<WorkerProcess> {
    const logFile = join(this.directory, 'logs', `${name}.log`);
    const worker = await WorkerProcess.start(name, module, args, this.configuration, logFile, env);
    this.workers.set(name, worker);
    return worker;
  }

  /** kill -9 of the Temporal server, and a start on its database. */
  async restartTemporal(downMs: number): Promise<void> {
    const { pid, port, uiPort } = this.temporal;
    process.kill(pid, 'SIGKILL');
    await sleep(downMs);
    this.temporal = await startTemporal({ directory: join(this.directory, 'temporal'), port, uiPort });
  }

  /** kill -9 of the broker, and a start on its data. */
  async restartKafka(downMs: number): Promise<void> {
    const { pid, port } = this.kafka;
    process.kill(pid, 'SIGKILL');
    await sleep(downMs);
    this.kafka = await startKafka({ directory: join(this.directory, 'kafka'), port, memoryMb: 384 });
  }

  /** Another writer keeps the registry's lock. */
  async lockRegistry(forMs: number): Promise<void> {
    const { registry } = this.configuration;
    if (registry.kind !== 'sqlite') throw new Error('only an embedded registry can be locked from here');
    const database = new Database(registry.file);
    database.exec('BEGIN IMMEDIATE');
    await sleep(forMs);
    database.exec('COMMIT');
    database.close();
  }

  worker(name: string): WorkerProcess {
    const found = this.workers.get(name);
    if (found === undefined) throw new Error(`there is no worker ${name}`);
    return found;
  }

  /** Stops everything that was started and removes the folder, unless it is wanted for a look. */
  async stop(keep: boolean): Promise<void> {
    await this.traffic.stop().catch(() => undefined);
    for (const worker of this.workers.values()) await worker.stop();
    await this.producer.close();
    await this.registry.close();
    await this.lifecycle.close();
    await this.log.close();
    await Promise.all([this.kafka.stop(), this.temporal.stop()]);
    if (!keep) await rm(this.directory, { recursive: true });
  }
}
