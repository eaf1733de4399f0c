import { copyFile, mkdir, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TidemillError } from '../contracts/errors.js';
import { cacheFolder, fileSha256, fillCache } from './cache.js';
import { programOnPath, runCommand, type Progress } from './command.js';
import { KAFKA_JARS, KAFKA_VERSION } from './kafkaJars.js';

const MAVEN_REPOSITORY = 'https://repo1.maven.org/maven2/';

/** `StorageTool format --standalone` is there from this version on. */
const OLDEST_VERSION = [3, 9] as const;

/**
 * Folder with the broker's jars: that of KAFKA_HOME, of a distribution on PATH, or the cache, filled by Maven where it is
 * on PATH, else over HTTPS. Every jar of the cache is compared with its SHA-256 each time; a damaged cache is fetched anew.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE naming three ways to supply it.
 */
export async function findKafka(progress: Progress = () => undefined): Promise<string> {
  const present = await locateKafka();
  if (present !== null) return present;
  const folder = cacheFolder(`kafka-${KAFKA_VERSION}`);
  const ways = [fetchByMaven, fetchByHttps];
  const problems = await fillCache(
    folder,
    ways.map((fetchJars) => (unfinished) => fetchJars(unfinished, progress)),
    problemOf,
  );
  if (problems === null) return folder;
  throw new TidemillError(
    'RUNTIME_UNAVAILABLE',
    `Kafka ${KAFKA_VERSION} cannot be had. Either set TIDEMILL_KAFKA to a broker's host:port, or KAFKA_HOME to an unpacked ` +
      `distribution, or install Maven (or allow HTTPS to a Maven repository). Tried: ${problems.join('; ')}`,
    { service: 'kafka', problems },
  );
}

/**
 * The same without fetching anything: null where it would have to be fetched.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE where KAFKA_HOME is set and holds no broker that can be used.
 */
export async function locateKafka(): Promise<string | null> {
  const home = process.env['KAFKA_HOME'];
  if (home !== undefined && home !== '') {
    const version = await versionIn(join(home, 'libs'));
    if (version !== null && isRecent(version)) return join(home, 'libs');
    throw new TidemillError(
      'RUNTIME_UNAVAILABLE',
      `KAFKA_HOME ${home} holds ${version === null ? 'no libs/kafka_*.jar' : `Kafka ${version}`}; 3.9 or newer is needed. Either ` +
        `correct it, or unset it and Kafka ${KAFKA_VERSION} is fetched, or set TIDEMILL_KAFKA to a broker's host:port.`,
      { service: 'kafka', home, version },
    );
  }
  for (const name of ['kafka-server-start.sh', 'kafka-server-start']) {
    const program = await programOnPath(name);
    if (program === null) continue;
    const root = dirname(dirname(await realpath(program)));
    for (const libs of [join(root, 'libs'), join(root, 'libexec', 'libs')]) {
      const version = await versionIn(libs);
      if (version !== null && isRecent(version)) return libs;
    }
  }
  const cached = cacheFolder(`kafka-${KAFKA_VERSION}`);
  return (await problemOf(cached)) === null ? cached : null;
}

/** @throws TidemillError RUNTIME_UNAVAILABLE */
export async function findJava(): Promise<string> {
  const home = process.env['JAVA_HOME'];
  const java = home === undefined || home === '' ? await programOnPath('java') : join(home, 'bin', 'java');
  if (java !== null) return java;
  throw new TidemillError(
    'RUNTIME_UNAVAILABLE',
    'Kafka needs Java 17 or newer. Either put java on PATH, or set JAVA_HOME, or set TIDEMILL_KAFKA to a running broker.',
    { service: 'kafka' },
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
    { cwd: project },
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

/** What is wrong with a folder of jars; null where every jar is the pinned one. */
async function problemOf(folder: string): Promise<string | null> {
  const found = await Promise.all(KAFKA_JARS.map(([path]) => fileSha256(join(folder, basename(path)))));
  for (const [at, [path, sha256]] of KAFKA_JARS.entries()) {
    if (found[at] !== sha256) return `${basename(path)}: SHA-256 ${found[at] ?? 'absent'} where ${sha256} is expected`;
  }
  return null;
}

/** Version of the distribution whose jars are in a folder; null where there is none. */
async function versionIn(libs: string): Promise<string | null> {
  for (const jar of await readdir(libs).catch(() => [])) {
    const version = /^kafka_2\.\d+-(\d+\.\d+\.\d+)\.jar$/.exec(jar)?.[1];
    if (version !== undefined) return version;
  }
  return null;
}

function isRecent(version: string): boolean {
  const [major, minor] = version.split('.').map(Number) as [number, number];
  return major > OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor >= OLDEST_VERSION[1]);
}
