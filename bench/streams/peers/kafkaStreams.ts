import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheFolder, fileSha256, fillCache } from '../../../infra/cache.js';
import { programOnPath, runCommand } from '../../../infra/command.js';
import { findJava } from '../../../infra/findKafka.js';
import type { StreamProgram } from '../streamProgram.js';
import { peerFile } from './peerFiles.js';

const VERSION = '4.1.1';
const THREADS = 2;

/** Kafka Streams: a Java program of our own, compiled on this machine against jars that Maven fetches. */
export const kafkaStreams: StreamProgram = {
  name: 'kafka-streams',
  version: VERSION,
  guarantee: 'exactly-once',
  settings: {
    'processing.guarantee': 'exactly_once_v2',
    'num.stream.threads': String(THREADS),
  },
  async prepare(say) {
    const java = await findJava();
    const jars = await fetchJars(say);
    const classes = await compile(java, jars);
    return async ({ project, broker, source, directory }) => {
      const group = `${project}.kafka-streams`;
      const results = `${project}.kafka-streams.results`;
      const classPath = [classes, join(jars, '*')].join(':');
      return {
        processes: [
          {
            program: java,
            args: ['-Xms1g', '-Xmx1g', '-XX:+UseParallelGC', '-cp', classPath].concat(
              ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', `-Dthreads=${THREADS}`, 'Tumbling'],
              [broker, source, results, group, directory],
            ),
          },
        ],
        results,
        group,
      };
    };
  },
};

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
