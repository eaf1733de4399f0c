import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runCommand, type Progress } from './command.js';
import { findJava, findKafka } from './findKafka.js';
import { awaitReady, findProcess, startDetached, stopProcess, type ProcessIdentity } from './managedProcess.js';
import { answers, freePort, requirePort } from './ports.js';

export { findJava, findKafka } from './findKafka.js';
export type { Progress } from './command.js';

/** A broker of the local runtime. */
export interface StartedKafka {
  /** host:port */
  readonly broker: string;
  readonly port: number;
  readonly pid: number;
  readonly identity: ProcessIdentity;
  stop(): Promise<void>;
}

export interface KafkaListener {
  /** In capital letters: its settings start with `listener.name.` and the name in small ones. */
  readonly name: string;
  readonly protocol: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
  readonly port: number;
  /** Port that clients are told to come back to, where something stands in between. @default port */
  readonly advertisedPort?: number;
}

/**
 * Starts one KRaft node with its data under `directory`, which may hold data of an earlier run.
 *
 * @param options.port default: a free one.
 * @param options.memoryMb heap, default 512.
 * @throws TidemillError RUNTIME_UNAVAILABLE, RUNTIME_PORT_TAKEN, RUNTIME_START_FAILED
 */
export async function startKafka(options: {
  readonly directory: string;
  readonly port?: number;
  readonly memoryMb?: number;
  /** Listeners besides the one that every local broker has. */
  readonly listeners?: readonly KafkaListener[];
  /** More settings of the broker. */
  readonly settings?: Readonly<Record<string, string>>;
  /** More arguments for the formatting of a new folder: `--add-scram` with the first users. */
  readonly formatArguments?: readonly string[];
  readonly progress?: Progress;
}): Promise<StartedKafka> {
  // The broker runs in a working directory of its own: every path it is given is absolute.
  const directory = resolve(options.directory);
  const [jars, java] = [await findKafka(options.progress), await findJava()];
  const port = options.port ?? (await freePort());
  await requirePort('kafka', port);
  await mkdir(directory, { recursive: true });
  const settings = settingsFile(directory);
  const data = join(directory, 'data');
  const own = brokerSettings(port, await freePort(), data, options.listeners ?? []);
  const lines = Object.entries({ ...own, ...options.settings });
  await writeFile(settings, lines.map(([name, value]) => `${name}=${value}\n`).join(''));
  const runJava = [
    `-Xmx${options.memoryMb ?? 512}m`,
    '-XX:+UseSerialGC',
    // The fetched jars log through slf4j-simple, those of a distribution through log4j.
    '-Dorg.slf4j.simpleLogger.logFile=System.out',
    '-Dlog4j2.level=INFO',
    '-cp',
    join(jars, '*'),
  ];
  const isFormatted = await readFile(join(data, 'meta.properties')).then(
    () => true,
    () => false,
  );
  if (!isFormatted) {
    const id = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url');
    // One word: an id may begin with a dash, which alone would be taken for an option.
    const format = ['format', '--standalone', `--cluster-id=${id}`, '-c', settings, ...(options.formatArguments ?? [])];
    await runCommand(java, [...runJava, 'kafka.tools.StorageTool', ...format]);
  }
  options.progress?.('starting Kafka');
  await rm(logFileOf(directory), { force: true });
  const identity = await startDetached(java, [...runJava, 'kafka.Kafka', settings], {
    logFile: logFileOf(directory),
    cwd: directory,
  });
  return whenReady(directory, identity, port);
}

/** The broker that already runs on the data of `directory`, whoever started it; null where there is none (or no /proc). */
export async function adoptKafka(relative: string): Promise<StartedKafka | null> {
  const directory = resolve(relative);
  const settings = settingsFile(directory);
  const identity = await findProcess((args) => args.includes('kafka.Kafka') && args.includes(settings));
  if (identity === null) return null;
  const port = /^listeners=PLAINTEXT:\/\/127\.0\.0\.1:(\d+),/m.exec(await readFile(settings, 'utf8'))?.[1];
  return port === undefined ? null : whenReady(directory, identity, Number(port));
}

async function whenReady(directory: string, identity: ProcessIdentity, port: number): Promise<StartedKafka> {
  const logFile = logFileOf(directory);
  await awaitReady('kafka', identity, logFile, async () => {
    const log = await readFile(logFile, 'utf8').catch(() => '');
    return log.includes('Kafka Server started') && (await answers(port));
  });
  const stop = (): Promise<void> => stopProcess(identity, 30_000);
  return { broker: `127.0.0.1:${port}`, port, pid: identity.pid, identity, stop };
}

function settingsFile(directory: string): string {
  return join(directory, 'server.properties');
}

function logFileOf(directory: string): string {
  return join(directory, 'kafka.log');
}

function brokerSettings(
  port: number,
  controllerPort: number,
  data: string,
  more: readonly KafkaListener[],
): Record<string, string> {
  const places = more.map(({ name, port: at }) => `,${name}://127.0.0.1:${at}`).join('');
  const advertised = more.map(({ name, port: at, advertisedPort = at }) => `,${name}://127.0.0.1:${advertisedPort}`);
  const protocols = more.map(({ name, protocol }) => `,${name}:${protocol}`).join('');
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${places}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}${advertised.join('')}`,
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.bootstrap.servers': `127.0.0.1:${controllerPort}`,
    'listener.security.protocol.map': `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${protocols}`,
    'log.dirs': data,
    'auto.create.topics.enable': 'false',
    'offsets.topic.num.partitions': '4',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    'log.retention.ms': '-1',
    'log.segment.bytes': '268435456',
    'message.max.bytes': '8388608',
    'replica.fetch.max.bytes': '8388608',
  };
}
