import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CompactedRange } from '../../contracts/compactionReport.js';
import type { ArchiveManifestRecord } from '../../contracts/records.js';
import { archiveTopic } from '../../contracts/topics.js';
import type { Log, LogProducer, TopicPartition } from '../log/log.js';
import type { ObjectStore } from '../objects/objectStore.js';
import type { OfflineStore } from '../offline/offlineStore.js';
import { readArchivedRanges, withoutRepeats, type ArchivedRange } from './archivedRanges.js';
import { manifestRecord } from './manifestRecord.js';
import { groupsOf, requireApart, sameContracts, writerOf, type MergeLimits } from './mergeGroups.js';

export interface CompactOptions extends MergeLimits {
  readonly log: Log;
  readonly objects: Pick<ObjectStore, 'list' | 'localPath' | 'putFile'>;
  readonly offline: Pick<OfflineStore, 'mergeEvents' | 'archive'>;
  readonly project: string;
  /** For tests that end the work in its midst. */
  readonly reach?: (point: 'before-merge' | 'after-merge' | 'after-store' | 'after-manifest') => void;
}

/**
 * Merges the many small files of the archive into few large ones:
 *
 *   1. choose files that follow on one another
 *   2. merge them into one file, in the order of the offsets
 *   3. store it
 *   4. say so in one manifest, which names the files that it replaces
 *
 * Readers see what 4 says, all of it or nothing. A crash before it leaves a file that no manifest names, which `tidemill prune`
 * removes, as it does with those that are replaced: after its grace time, and only where nobody names them. Two who merge the
 * same files write two manifests, of which the first counts.
 *
 * @throws TidemillError ARCHIVE_OVERLAP where files contradict one another: none of them is merged
 */
export async function compactArchive(options: CompactOptions): Promise<CompactedRange[]> {
  const { log, objects, project } = options;
  const done: CompactedRange[] = [];
  const producer = await log.producer();
  try {
    for (const [topic, byPartition] of await readArchivedRanges(log, project)) {
      const bytesOf = new Map((await objects.list(prefixOf(project, topic))).map(({ uri, bytes }) => [uri, bytes]));
      for (const [partition, ranges] of byPartition) {
        const place = { topic, partition };
        requireApart(place, ranges);
        // 1 choose
        for (const chosen of groupsOf(withoutRepeats(ranges), bytesOf, options)) {
          const paths = new Map<string, string>();
          for (const { uri, sha256 } of filesOf(chosen)) paths.set(uri, await objects.localPath(uri, sha256));
          const contracts = await options.offline.archive.contractsOf([...paths.values()]);
          const contractOf = new Map([...paths].map(([uri, path]) => [uri, contracts.get(path) ?? null]));
          for (const group of sameContracts(chosen, contractOf, bytesOf, options))
            done.push(await mergeGroup(options, producer, place, group, paths));
        }
      }
    }
  } finally {
    await producer.close();
  }
  return done;
}

/** Steps 2 to 4. */
async function mergeGroup(
  { log, objects, offline, project, reach }: CompactOptions,
  producer: LogProducer,
  { topic, partition }: TopicPartition,
  group: readonly ArchivedRange[],
  paths: ReadonlyMap<string, string>,
): Promise<CompactedRange> {
  const [first, last] = [group[0]?.first ?? 0, Math.max(...group.map((each) => each.last))];
  const replaces = filesOf(group).map(({ uri }) => uri);
  const output = join(tmpdir(), `tidemill-compact-${randomUUID()}.parquet`);
  try {
    reach?.('before-merge');
    // 2 merge
    const files = replaces.map((uri) => paths.get(uri) as string);
    const rows = await offline.mergeEvents(files, { from: first, to: last + 1 }, output);
    reach?.('after-merge');
    // 3 store
    const { uri, sha256, bytes } = await objects.putFile(prefixOf(project, topic), 'parquet', output);
    reach?.('after-store');
    // 4 manifest
    const writer = writerOf(group);
    const manifest: ArchiveManifestRecord = {
      topic,
      partition,
      first,
      last,
      rows,
      files: [{ uri, sha256 }],
      replaces,
      ...(writer === undefined ? {} : { writer }),
    };
    const partitions = (await log.partitionCount(archiveTopic(project))) ?? 1;
    await producer.send([manifestRecord(project, manifest, partitions)]);
    reach?.('after-manifest');
    return { topic, partition, first, last, rows, replaced: replaces.length, bytes };
  } finally {
    await rm(output, { force: true });
  }
}

function prefixOf(project: string, topic: string): string {
  return `archive/${project}/${topic}`;
}

function filesOf(group: readonly ArchivedRange[]): ArchivedRange['files'] {
  return group.flatMap(({ files }) => files);
}
