import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheFolder, fileSha256, fillCache } from '../../../infra/cache.js';
import { programOnPath, runCommand } from '../../../infra/command.js';
import { findJava } from '../../../infra/findKafka.js';
import type { StreamProgram } from '../streamProgram.js';
import { peerFile } from './peerFiles.js';

const VERSION = '4.1.1';

/** A window is told once by `suppress(untilWindowCloses)`, the usual way. */
export const kafkaStreams = kafkaStreamsProgram(
  'kafka-streams',
  'suppress',
  'suppress(untilWindowCloses(unbounded()))',
);

/** A window is told once by the emit strategy: one store and one changelog fewer, so that many keys cost less. */
export const kafkaStreamsOnClose = kafkaStreamsProgram(
  'kafka-streams-on-close',
  'onWindowClose',
  'EmitStrategy.onWindowClose(), without its pause of a second between two emissions',
);

/** Kafka Streams: a Java program of our own, compiled on this machine against jars that Maven fetches. */
function kafkaStreamsProgram(name: string, emission: string, inWords: string): StreamProgram {
  return {
    name,
    version: VERSION,
    guarantee: 'exactly-once',
    workers: 2,
    workersAre: 'threads',
    settings: {
      'processing.guarantee': 'exactly_once_v2',
      emission: inWords,
      grace: '10 s',
      'commit.interval.ms': '1,000',
      'window store': 'in memory, cached, with a changelog topic',
      'statestore.cache.max.bytes': '256 MB',
      'buffered.records.per.partition': '10,000',
      'consumer max.poll.records': '10,000',
      'producer linger.ms, batch.size': '100, 256 KB',
      'Java heap': '1 GB, parallel collector',
      JSON: 'Jackson, token by token, the two fields that are needed',
    },
    async prepare(say) {
      const java = await findJava();
      const jars = await fetchJars(say);
      const classes = await compile(java, jars);
      return async ({ project, broker, source, workers, directory }) => {
        const group = `${project}.${name}`;
        const results = `${project}.${name}.results`;
        const classPath = [classes, join(jars, '*')].join(':');
        return {
          processes: [
            {
              program: java,
              args: ['-Xms1g', '-Xmx1g', '-XX:+UseParallelGC', '-cp', classPath].concat(
                ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', 'Tumbling'],
                [broker, source, results, group, directory, String(workers), emission],
              ),
            },
          ],
          results,
          group,
        };
      };
    },
  };
}

/** Folder with the jars, each compared with its SHA-256. */
async function fetchJars(say: (text: string) => void): Promise<string> {
  const pinned = JSON.parse(await readFile(peerFile('kafka-streams', 'jars.json'), 'utf8')) as Record<string, string>;
  const problemOf = async (folder: string): Promise<string | null> => {
    for (const [jar, sha256] of Object.entries(pinned)) {
      const found = await fileSha256(join(folder, jar));
      if (found !== sha256) return `${jar}: SHA-256 ${found ?? 'absent'} where ${sha256} is expected`;
    }
    const more = (await readdir(folder)).filter((jar) => !(jar in pinned));
    return more.length === 0 ? null : `not pinned: ${more.join(', ')}`;
  };
  const folder = cacheFolder(`kafka-streams-${VERSION}`);
  if ((await problemOf(folder).catch(() => 'absent')) === null) return folder;
  const fetchByMaven = async (unfinished: string): Promise<void> => {
    const maven = await programOnPath('mvn');
    if (maven === null) throw new Error('mvn is not on PATH');
    say(`fetching Kafka Streams ${VERSION} by Maven (95 MB)`);
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
    const settings = ['-DincludeScope=runtime', `-DoutputDirectory=${unfinished}`];
    await runCommand(maven, ['-q', '-B', '-f', peerFile('kafka-streams', 'pom.xml'), goal, ...settings]);
  };
  const problems = await fillCache(folder, [fetchByMaven], problemOf);
  if (problems !== null) throw new Error(problems.join('; '));
  return folder;
}

/** Folder with the compiled program, named by its source. */
async function compile(java: string, jars: string): Promise<string> {
  const source = peerFile('kafka-streams', 'Tumbling.java');
  const folder = cacheFolder(`kafka-streams-${VERSION}-tumbling-${(await fileSha256(source))?.slice(0, 12)}`);
  const problemOf = async (filled: string): Promise<string | null> =>
    (await fileSha256(join(filled, 'Tumbling.class'))) === null ? 'javac wrote no class' : null;
  if ((await problemOf(folder)) === null) return folder;
  const compiler = (await programOnPath('javac')) ?? join(dirname(java), 'javac');
  const problems = await fillCache(
    folder,
    [(unfinished) => runCommand(compiler, ['-cp', join(jars, '*'), '-d', unfinished, source])],
    problemOf,
  );
  if (problems !== null) throw new Error(problems.join('; '));
  return folder;
}
