import type { PredictionRecord } from '../../contracts/records.js';
import type { ReplayComparison, ReplayDifference } from '../../contracts/replayReport.js';
import type { Log, LogRecord } from '../../stores/log/log.js';
import type { Topology } from '../runtime/topology.js';
import { outputsOf, replayTopic } from './replayNames.js';

/** What a record tells, and about what; null where it tells nothing that two generations could agree on. */
type Told = { readonly subject: string; readonly told: string } | null;

const MAX_SAMPLES = 5;

/** What the running generation has told by now: what it tells from here on is not compared. */
export async function outputEnds(log: Log, current: Topology): Promise<ReadonlyMap<string, readonly number[]>> {
  const ends = new Map<string, readonly number[]>();
  for (const topic of outputsOf(current)) {
    if ((await log.partitionCount(topic)) === null) continue;
    ends.set(
      topic,
      (await log.offsets(topic)).map(({ high }) => high),
    );
  }
  return ends;
}

/**
 * Holds what a replay told against what the running generation told, by subject: a window, or a request. The last word on
 * each counts: how often a window was told anew depends on where commits fell.
 *
 * @param until ends of the running generation's outputs, after it stood where the replay is now.
 * @param sure ends of before: what was told since may lie behind where the replay is, and is missed by nobody.
 */
export async function compareOutputs(
  log: Log,
  topologies: { readonly current: Topology; readonly next: Topology },
  until: ReadonlyMap<string, readonly number[]>,
  sure: ReadonlyMap<string, readonly number[]> = until,
): Promise<ReplayComparison[]> {
  const comparisons: ReplayComparison[] = [];
  for (const [topic, ends] of until) {
    const toldBy = tellerOf(topologies.current, topic);
    const replayed = replayTopic(topologies.next, topic);
    if (toldBy === null || (await log.partitionCount(replayed)) === null) continue;
    const counts = { equal: 0, different: 0, onlyReplayed: 0, onlyRunning: 0 };
    const samples: ReplayDifference[] = [];
    const differ = (difference: ReplayDifference): void => {
      if (samples.length < MAX_SAMPLES) samples.push(difference);
    };
    // Equal keys lie in equal partitions: one partition is held in memory at a time.
    for (const [partition, end] of ends.entries()) {
      const running = await lastWords(log, topic, partition, end, toldBy);
      const range = (await log.offsets(replayed))[partition];
      const anew = await lastWords(log, replayed, partition, range?.high ?? 0, toldBy);
      for (const [subject, told] of anew) {
        const before = running.get(subject);
        if (before === told) counts.equal++;
        else {
          if (before === undefined) counts.onlyReplayed++;
          else counts.different++;
          differ({ subject, replayed: told, running: before ?? null });
        }
      }
      const early = await lastWords(log, topic, partition, sure.get(topic)?.[partition] ?? 0, toldBy);
      for (const [subject, told] of early) {
        if (anew.has(subject)) continue;
        counts.onlyRunning++;
        differ({ subject, replayed: null, running: told });
      }
    }
    comparisons.push({ topic, replayed, ...counts, samples });
  }
  return comparisons;
}

async function lastWords(
  log: Log,
  topic: string,
  partition: number,
  to: number,
  toldBy: (record: LogRecord) => Told,
): Promise<Map<string, string>> {
  const words = new Map<string, string>();
  const low = (await log.offsets(topic))[partition]?.low ?? 0;
  if (low >= to) return words;
  for await (const batch of log.read({ topic, partition, from: low, to })) {
    for (const record of batch) {
      const told = toldBy(record);
      if (told !== null) words.set(told.subject, told.told);
    }
  }
  return words;
}

/** How records of an output are read; null for outputs that say nothing but what became of single records. */
function tellerOf({ identity, outputs }: Topology, topic: string): ((record: LogRecord) => Told) | null {
  if (identity.name.startsWith('window.')) {
    const results = outputs.find((each) => !isAside(identity.project, each.topic) && !each.topic.includes('.hop.'));
    return topic === results?.topic ? windowTold : null;
  }
  return topic.endsWith('.predictions') ? predictionTold : null;
}

function isAside(project: string, topic: string): boolean {
  return topic === `${project}.late` || topic === `${project}.duplicates`;
}

/** What every result of a window says beside its values. */
interface WindowHead {
  readonly key: number | string;
  readonly start: number;
  readonly end: number;
  readonly revision: number;
}

function windowTold({ value }: LogRecord): Told {
  const { key, start, end, revision: _, ...told } = JSON.parse(value?.toString('utf8') ?? 'null') as WindowHead;
  return {
    subject: `${String(key)} ${new Date(start).toISOString()}/${new Date(end).toISOString()}`,
    told: JSON.stringify(told),
  };
}

function predictionTold({ value }: LogRecord): Told {
  const { id, source, score, decision, vector } = JSON.parse(value?.toString('utf8') ?? 'null') as PredictionRecord;
  return {
    subject: `${id} at ${source.partition}/${source.offset}`,
    told: JSON.stringify({ score, decision, vector }),
  };
}
