import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { TidemillError } from '../../contracts/errors.js';
import type { Log, TopicPartition } from '../../stores/log/log.js';
import { archiveFiles } from './archiveFiles.js';

/** How long the archive may take to reach the end of the topics. */
const ARCHIVE_TIMEOUT_MS = 300_000;

/**
 * Waits until the archive holds all that topics hold now, and gives these ends by topic and partition.
 *
 * @param who for the error.
 * @throws TidemillError ARCHIVE_BEHIND
 */
export async function awaitArchive(
  log: Log,
  project: string,
  topics: readonly string[],
  who: string,
): Promise<Record<string, Record<number, number>>> {
  const awaited: Awaited[] = [];
  for (const topic of topics)
    for (const { partition, low, high } of await log.offsets(topic))
      awaited.push({ topic, partition, low, high, upTo: null });
  for (let waited = 0; waited < ARCHIVE_TIMEOUT_MS; waited += 1_000) {
    const archived = await archiveFiles(log, project);
    const covered = await Promise.all(
      awaited.map((each) => isCovered(log, each, archived.get(each.topic)?.upTo[each.partition] ?? 0)),
    );
    if (covered.every(Boolean)) return endsOf(awaited);
    Context.current().heartbeat();
    await sleep(1_000, undefined, { signal: Context.current().cancellationSignal });
  }
  throw new TidemillError('ARCHIVE_BEHIND', `${who}: the archive has not reached the end of the streams`, {
    offsets: endsOf(awaited),
  });
}

interface Awaited extends TopicPartition {
  readonly low: number;
  readonly high: number;
  /** Where the archive was at the last look; null before the first one. */
  upTo: number | null;
}

/**
 * The archive commits where it has had a record: ends of transactions behind the last one are not covered, nor is a partition
 * that retention has emptied.
 */
async function isCovered(log: Log, awaited: Awaited, upTo: number): Promise<boolean> {
  const { topic, partition, low, high } = awaited;
  if (upTo >= high || low >= high) return true;
  const hasMoved = upTo !== awaited.upTo;
  awaited.upTo = upTo;
  // While it goes on nobody needs to look.
  if (hasMoved) return false;
  for await (const records of log.read({ topic, partition, from: Math.max(upTo, low), to: high }))
    if (records.length > 0) return false;
  return true;
}

function endsOf(awaited: readonly Awaited[]): Record<string, Record<number, number>> {
  const ends: Record<string, Record<number, number>> = {};
  for (const { topic, partition, high } of awaited) (ends[topic] ??= {})[partition] = high;
  return ends;
}
