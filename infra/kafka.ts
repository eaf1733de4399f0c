import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { messageOf, TidemillError } from '../contracts/errors.js';
import { cacheFolder, fileSha256 } from './cache.js';
import { programOnPath, runCommand } from './command.js';
import { KAFKA_JARS, KAFKA_VERSION } from './kafkaJars.js';
import { awaitReady, startDetached, stopProcess, type ProcessIdentity } from './managedProcess.js';
import { answers, freePort, requirePort } from './ports.js';

/** A broker that this process started. */
export interface StartedKafka {
  /** host:port */
  readonly broker: string;
  readonly port: number;
  readonly identity: ProcessIdentity;
  stop(): Promise<void>;
}

export type Progress = (text: string) => void;

const MAVEN_REPOSITORY = 'https://repo1.maven.org/maven2/';

/**
 * Folder with the broker's jars: KAFKA_HOME, else the cache, filled by Maven where it is on PATH, else over HTTPS. Every
 * jar of the cache is checked against its SHA-256.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE naming three ways to supply it.
 */
export async function findKafka(progress: Progress = () => undefined): Promise<string> {
  const home = process.env['KAFKA_HOME'];
  if (home !== undefined) return join(home, 'libs');
  const folder = cacheFolder(`kafka-${KAFKA_VERSION}`);
  if ((await readdir(folder).catch(() => [])).length === KAFKA_JARS.length) return folder;
  const unfinished = `${folder}.${randomUUID()}`;
  const problems: string[] = [];
  for (const fetchJars of [fetchByMaven, fetchByHttps]) {
    await mkdir(unfinished, { recursive: true });
    try {
      await fetchJars(unfinished, progress);
      await checkJars(unfinished);
      // Another process may have been faster: then its folder counts.
      await rename(unfinished, folder).catch(() => rm(unfinished, { recursive: true }));
      return folder;
    } catch (error) {
      problems.push(messageOf(error));
      await rm(unfinished, { recursive: true, force: true });
    }
  }
  throw new TidemillError(
    'RUNTIME_UNAVAILABLE',
    `Kafka ${KAFKA_VERSION} cannot be had. Either set TIDEMILL_KAFKA to a broker's host:port, or KAFKA_HOME to an unpacked ` +
      `distribution, or install Maven (or allow HTTPS to a Maven repository). Tried: ${problems.join('; ')}`,
    { service: 'kafka', problems },
  );
}

async function fetchByMaven(folder: string, progress: Progress): Promise<void> {
  const maven = await programOnPath('mvn');
  if (maven === null) throw new Error('mvn is not on PATH');
  progress('fetching Kafka by Maven (43 MB)');
  const project = join(folder, 'fetch');
  await mkdir(project);
  const dependency = (group: string, artifact: string, version: string): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  await writeFile(
    join(project, 'pom.xml'),
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tidemill</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>
${dependency('org.apache.kafka', 'kafka_2.13', KAFKA_VERSION)}${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
</dependencies></project>`,
  );
  await runCommand(
    maven,
    ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=jars'],
    {
      cwd: project,
    },
  );
  const wanted = new Set(KAFKA_JARS.map(([path]) => basename(path)));
  for (const jar of await readdir(join(project, 'jars'))) {
    if (wanted.has(jar)) await copyFile(join(project, 'jars', jar), join(folder, jar));
  }
  await rm(project, { recursive: true });
}

async function fetchByHttps(folder: string, progress: Progress): Promise<void> {
  for (const [at, [path]] of KAFKA_JARS.entries()) {
    progress(`fetching Kafka: ${at + 1} of ${KAFKA_JARS.length}`);
    const response = await fetch(MAVEN_REPOSITORY + path);
    if (!response.ok) throw new Error(`${MAVEN_REPOSITORY}${path}: HTTP ${response.status}`);
    await writeFile(join(folder, basename(path)), Buffer.from(await response.arrayBuffer()));
  }
}

async function checkJars(folder: string): Promise<void> {
  for (const [path, sha256] of KAFKA_JARS) {
    const found = await fileSha256(join(folder, basename(path)));
    if (found !== sha256)
      throw new Error(`${basename(path)}: SHA-256 ${found ?? 'absent'} where ${sha256} is expected`);
  }
}

/** @throws TidemillError RUNTIME_UNAVAILABLE */
export async function findJava(): Promise<string> {
  const home = process.env['JAVA_HOME'];
  const java = home === undefined ? await programOnPath('java') : join(home, 'bin', 'java');
  if (java !== null) return java;
  throw new TidemillError(
    'RUNTIME_UNAVAILABLE',
    'Kafka needs Java 17 or newer. Either put java on PATH, or set JAVA_HOME, or set TIDEMILL_KAFKA to a running broker.',
    { service: 'kafka' },
  );
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
  readonly progress?: Progress;
}): Promise<StartedKafka> {
  const { directory } = options;
  const [jars, java] = [await findKafka(options.progress), await findJava()];
  const port = options.port ?? (await freePort());
  await requirePort('kafka', port);
  await mkdir(directory, { recursive: true });
  const settings = join(directory, 'server.properties');
  const data = join(directory, 'data');
  await writeFile(settings, brokerSettings(port, await freePort(), data));
  const runJava = [
    `-Xmx${options.memoryMb ?? 512}m`,
    '-XX:+UseSerialGC',
    '-Dorg.slf4j.simpleLogger.logFile=System.out',
    '-cp',
    join(jars, '*'),
  ];
  const isFormatted = await readFile(join(data, 'meta.properties')).then(
    () => true,
    () => false,
  );
  if (!isFormatted) {
    const id = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url');
    await runCommand(java, [...runJava, 'kafka.tools.StorageTool', 'format', '--standalone', '-t', id, '-c', settings]);
  }
  options.progress?.('starting Kafka');
  const logFile = join(directory, 'kafka.log');
  await rm(logFile, { force: true });
  const identity = await startDetached(java, [...runJava, 'kafka.Kafka', settings], {
    logFile,
    cwd: dirname(settings),
  });
  await awaitReady('kafka', identity, logFile, async () => {
    const log = await readFile(logFile, 'utf8').catch(() => '');
    return log.includes('Kafka Server started') && (await answers(port));
  });
  return { broker: `127.0.0.1:${port}`, port, identity, stop: () => stopProcess(identity, 30_000) };
}

function brokerSettings(port: number, controllerPort: number, data: string): string {
  return `process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:${controllerPort}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${data}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.retention.ms=-1
log.segment.bytes=268435456
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
`;
}
