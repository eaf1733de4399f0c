import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { readTopic } from '../../../activities/audit/readTopic.js';
import { environmentOf, type Configuration } from '../../../contracts/configuration.js';
import { registryIn } from '../../../contracts/registryAddress.js';
import { onlineStoreIn } from '../../../contracts/onlineAddress.js';
import { groupId, hopTopic, streamTopic, type TopologyIdentity } from '../../../contracts/topics.js';
import { WorkerProcess } from '../../../examples/fraud/demo/workerProcess.js';
import { Ledger, type Verdict } from './ledger.js';
import { orders, returns } from './project.js';
import { MODEL, type StreamCluster } from './streamCluster.js';

const cli = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));
const PARTITIONS = 2;

/** Offsets by topic and partition. */
export type TopicOffsets = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** The same definitions as a project of their own beside the others': for faults that change what the log holds. */
export class SideProject {
  private worker: WorkerProcess | null = null;
  private lives = 0;

  private constructor(
    private readonly cluster: StreamCluster,
    readonly configuration: Configuration,
  ) {}

  /** Topics, and a group that starts at their beginning. */
  static async open(cluster: StreamCluster, name: string): Promise<SideProject> {
    const home = join(cluster.directory, `home-${name}`);
    const configuration: Configuration = {
      ...cluster.configuration,
      project: `${cluster.configuration.project}-${name}`,
      home,
      registry: registryIn(home),
      online: onlineStoreIn(home),
    };
    const side = new SideProject(cluster, configuration);
    await cluster.log.ensureTopics([side.requests, side.returns].map((topic) => ({ topic, partitions: PARTITIONS })));
    await (await side.launch(['--initialise', 'start'])).end();
    return side;
  }

  get requests(): string {
    return streamTopic(this.configuration.project, orders.compiled.name);
  }
  get returns(): string {
    return streamTopic(this.configuration.project, returns.compiled.name);
  }
  /** @param generation of the score topology. */
  score(generation: number): TopologyIdentity {
    return { project: this.configuration.project, name: `score.${MODEL.name}`, generation };
  }
  get hop(): string {
    return hopTopic(this.score(1), 'shop');
  }

  async start(): Promise<WorkerProcess> {
    this.worker = await this.launch(['--instance', 'side']);
    return this.worker;
  }

  async stop(): Promise<void> {
    await this.worker?.stop();
  }

  /** Waits until the group of a generation has committed all requests. */
  async caughtUp(generation = 1): Promise<void> {
    for (const topic of [this.requests, this.returns, hopTopic(this.score(generation), 'shop')]) {
      for (;;) {
        const ends =
          (await this.cluster.log.partitionCount(topic)) === null ? [] : await this.cluster.log.offsets(topic);
        const places = ends.map(({ partition }) => ({ topic, partition }));
        const committed = await this.cluster.log.committed(groupId(this.score(generation)), places);
        // A committed offset stands before the marker that ends its transaction.
        const isThere = ends.every(
          ({ partition, high }) => (committed.find((each) => each.partition === partition)?.offset ?? 0) >= high - 1,
        );
        if (isThere && ends.length > 0) break;
        this.worker?.requireRunning();
        await sleep(200);
      }
    }
  }

  /** Runs the command line on this project; gives what it printed as JSON. */
  async tidemill(...args: string[]): Promise<unknown> {
    const env = { ...process.env, ...environmentOf(this.configuration) };
    const { stdout } = await promisify(execFile)(process.execPath, [cli, '--home', this.configuration.home, ...args], {
      env,
    });
    return JSON.parse(stdout) as unknown;
  }

  /** Where every topic of an account ends now, by topic and partition. */
  async ends(): Promise<TopicOffsets> {
    const ends = new Map<string, ReadonlyMap<number, number>>();
    for (const topic of this.ledger(new Map()).topics) {
      const found =
        (await this.cluster.log.partitionCount(topic)) === null ? [] : await this.cluster.log.offsets(topic);
      ends.set(topic, new Map(found.map(({ partition, high }) => [partition, high])));
    }
    return ends;
  }

  /**
   * The account of this project, from what the log has of it.
   *
   * @param since where live records and their answers begin. @default the start
   */
  async verdict(since: TopicOffsets = new Map()): Promise<Verdict> {
    const ledger = this.ledger(since);
    const streams = [this.requests, this.returns];
    for (const topic of [...streams, ...ledger.topics.filter((each) => !streams.includes(each))]) {
      const from = streams.includes(topic) ? undefined : since.get(topic);
      const records = await readTopic(this.cluster.log, topic);
      ledger.read(
        topic,
        records.filter(({ partition, offset }) => offset >= (from?.get(partition) ?? 0)),
      );
    }
    return ledger.close();
  }

  private ledger(liveFrom: TopicOffsets): Ledger {
    return new Ledger(this.configuration.project, MODEL, liveFrom);
  }

  /** Text that the newest worker has logged. */
  get logFile(): string {
    return join(this.cluster.directory, 'logs', `${this.configuration.project}-${this.lives}.log`);
  }

  private launch(args: readonly string[]): Promise<WorkerProcess> {
    this.lives++;
    const all = ['--topologies', 'score', '--model', MODEL.name, ...args];
    return WorkerProcess.start('side', 'workers/stream.js', all, this.configuration, this.logFile, {
      TIDEMILL_METRICS_PORT: 'off',
    });
  }
}
