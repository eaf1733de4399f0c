import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { TidemillError } from '../../contracts/errors.js';
import type { Log } from '../../stores/log/log.js';
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
  const offsets: Record<string, Record<number, number>> = {};
  for (const topic of topics)
    offsets[topic] = Object.fromEntries((await log.offsets(topic)).map(({ partition, high }) => [partition, high]));
  for (let waited = 0; waited < ARCHIVE_TIMEOUT_MS; waited += 1_000) {
    const archived = await archiveFiles(log, project);
    const isCovered = Object.entries(offsets).every(([topic, partitions]) =>
      Object.entries(partitions).every(
        ([partition, high]) => (archived.get(topic)?.upTo[Number(partition)] ?? 0) >= high,
      ),
    );
    if (isCovered) return offsets;
    Context.current().heartbeat();
    await sleep(1_000, undefined, { signal: Context.current().cancellationSignal });
  }
  throw new TidemillError('ARCHIVE_BEHIND', `${who}: the archive has not reached the end of the streams`, { offsets });
}
