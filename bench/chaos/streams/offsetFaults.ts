import { readFile } from 'node:fs/promises';
import type { Admin } from 'kafkajs';
import { setTimeout as sleep } from 'node:timers/promises';
import { groupId } from '../../../contracts/topics.js';
import { Kafka, logLevel } from '../../../stores/log/kafkajs/kafkajs.js';
import { Load } from './load.js';
import type { Verdict } from './ledger.js';
import { SideProject, type TopicOffsets } from './sideProject.js';
import { MODEL, type StreamCluster } from './streamCluster.js';
import { requireThat, type StreamFault } from './streamFault.js';

const RECORDS = 1_500;
const STOPPED_MS = 60_000;
/** So many records of each partition are deleted although nobody has processed them. */
const GONE = 50;

async function administered(cluster: StreamCluster, act: (admin: Admin) => Promise<void>): Promise<void> {
  const admin = new Kafka({ brokers: [cluster.kafka.broker], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await act(admin);
  } finally {
    await admin.disconnect();
  }
}

/** A worker of the project must end by itself, with that code, which is said aloud. */
async function requireLoudStop(side: SideProject, code: string): Promise<void> {
  const worker = await side.start();
  const until = performance.now() + STOPPED_MS;
  while (worker.isRunning && performance.now() < until) await sleep(100);
  const isStopped = !worker.isRunning;
  await side.stop();
  const log = await readFile(side.logFile, 'utf8');
  requireThat(isStopped && worker.exitCode !== 0, `a worker went on although it had to stop with ${code}`);
  requireThat(log.includes(`"code":"${code}"`), `the worker did not say ${code}: ${log.slice(-500)}`);
  requireThat(
    !log.includes('"kind":"recovered","task":"account-'),
    'a task without its offsets went live all the same',
  );
}

/** A project of its own whose records are all answered, and whose worker is stopped when more come. */
interface HalfWay {
  readonly side: SideProject;
  /** Of what was answered before. */
  readonly before: Verdict;
  /** Where everything ended before more came. */
  readonly ends: TopicOffsets;
}

async function halfWay(cluster: StreamCluster, name: string, seed: number): Promise<HalfWay> {
  const side = await SideProject.open(cluster, name);
  const load = new Load(side.configuration.project, seed, Date.parse('2026-01-01T00:00:00Z'));
  await cluster.producer.send(load.take(RECORDS));
  await side.start();
  await side.caughtUp();
  await side.stop();
  const before = await side.verdict();
  const ends = await side.ends();
  // Log time is told in milliseconds: what comes now comes later.
  await sleep(1_000);
  await cluster.producer.send(load.take(RECORDS));
  return { side, before, ends };
}

/** Resets, goes on, and accounts for both lives. */
async function goOn({ side, before }: HalfWay, to: string, liveFrom: TopicOffsets): Promise<Verdict> {
  const common = ['--model', MODEL.name, '--project', side.configuration.projectModule];
  await side.tidemill('stream', 'reset', 'score', ...common, '--to', to, '--yes', '--json');
  await side.start();
  await side.caughtUp(2);
  await side.stop();
  return sum(before, await side.verdict(liveFrom));
}

export function sum(one: Verdict, other: Verdict): Verdict {
  return {
    records: one.records + other.records,
    lost: one.lost + other.lost,
    repeated: one.repeated + other.repeated,
    wrong: one.wrong + other.wrong,
    vectors: one.vectors + other.vectors,
    findings: [...one.findings, ...other.findings],
  };
}

export const OFFSET_FAULTS: readonly StreamFault[] = [
  {
    family: 'offsets',
    fault: 'gone by retention: a loud stop, then an explicit reset',
    run: async ({ cluster, random }) => {
      const half = await halfWay(cluster, 'retention', random.word());
      const { side, ends } = half;
      const lows = new Map([...(ends.get(side.requests) ?? [])].map(([partition, end]) => [partition, end + GONE]));
      await administered(cluster, async (admin) => {
        // The client knows of no topic that it was not asked about before.
        await admin.fetchTopicOffsets(side.requests);
        await admin.deleteTopicRecords({
          topic: side.requests,
          partitions: [...lows].map(([partition, low]) => ({ partition, offset: String(low) })),
        });
      });
      await requireLoudStop(side, 'OFFSET_LOST');
      // What the log has no more nobody can answer, and it was said aloud. All that it has is answered, once.
      return goOn(half, 'committed', new Map([...ends, [side.requests, lows]]));
    },
  },
  {
    family: 'offsets',
    fault: 'gone by expiry of the group: a loud stop, then an explicit reset',
    run: async ({ cluster, random }) => {
      const half = await halfWay(cluster, 'expiry', random.word());
      const { side, ends } = half;
      const [first] = await cluster.log.offsets(side.requests);
      const from = ends.get(side.requests)?.get(first?.partition ?? 0) ?? 0;
      let at = 0;
      const place = { topic: side.requests, partition: first?.partition ?? 0 };
      for await (const [record] of cluster.log.read({ ...place, from, to: from + 1 })) at = record?.timestamp ?? 0;
      await cluster.log.deleteGroups([groupId(side.score(1))]);
      await requireLoudStop(side, 'OFFSETS_MISSING');
      // Where the group had got to nobody knows any more; when the worker was stopped people do.
      return goOn(half, new Date(at - 500).toISOString(), ends);
    },
  },
];
