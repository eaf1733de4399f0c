import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CompactedRange } from '../../contracts/compactionReport.js';
import { isTidemillError } from '../../contracts/errors.js';
import type { ArchiveManifestRecord } from '../../contracts/records.js';
import { archiveTopic } from '../../contracts/topics.js';
import type { Log } from '../log/log.js';
import type { ObjectStore } from '../objects/objectStore.js';
import type { OfflineStore } from '../offline/offlineStore.js';
import { readArchivedRanges, withoutRepeats, type ArchivedRange } from './archivedRanges.js';

export interface CompactOptions {
  readonly log: Log;
  readonly objects: Pick<ObjectStore, 'list' | 'localPath' | 'putFile'>;
  readonly offline: Pick<OfflineStore, 'mergeEvents'>;
  readonly project: string;
  /** Files become about so large. @default 128 MiB */
  readonly targetBytes?: number;
  /** And have at most so many rows. @default 5000000 */
  readonly maxRows?: number;
  /** Fewer files in a row are left as they are, unless they are enough for a large one. @default 8 */
  readonly minFiles?: number;
  /** For tests that end the work in its midst. */
  readonly reach?: (point: 'before-merge' | 'after-merge' | 'after-store' | 'after-manifest') => void;
}

const TARGET_BYTES = 128 * 2 ** 20;
const MAX_ROWS = 5_000_000;
const MIN_FILES = 8;

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
 */
export async function compactArchive(options: CompactOptions): Promise<CompactedRange[]> {
  const { log, objects, offline, project, reach } = options;
  const done: CompactedRange[] = [];
  const producer = await log.producer();
  try {
    for (const [topic, byPartition] of await readArchivedRanges(log, project)) {
      const prefix = `archive/${project}/${topic}`;
      const bytesOf = new Map((await objects.list(prefix)).map(({ uri, bytes }) => [uri, bytes]));
      for (const [partition, ranges] of byPartition) {
        // 1 choose
        for (const group of groupsOf(withoutRepeats(ranges), bytesOf, options)) {
          const [first, last] = [group[0]?.first ?? 0, group.at(-1)?.last ?? 0];
          const files = group.flatMap((each) => each.files);
          const output = join(tmpdir(), `tidemill-compact-${randomUUID()}.parquet`);
          try {
            const paths: string[] = [];
            for (const { uri, sha256 } of files) paths.push(await objects.localPath(uri, sha256));
            reach?.('before-merge');
            // 2 merge
            const rows = await offline.mergeEvents(paths, { from: first, to: last + 1 }, output);
            reach?.('after-merge');
            // 3 store
            const { uri, sha256, bytes } = await objects.putFile(prefix, 'parquet', output);
            reach?.('after-store');
            // 4 manifest
            const replaces = files.map((each) => each.uri);
            const manifest: ArchiveManifestRecord = {
              topic,
              partition,
              first,
              last,
              rows,
              files: [{ uri, sha256 }],
              replaces,
            };
            await producer.send([
              {
                topic: archiveTopic(project),
                partition,
                key: `${topic}-${partition}`,
                value: JSON.stringify(manifest),
              },
            ]);
            reach?.('after-manifest');
            done.push({ topic, partition, first, last, rows, replaced: files.length, bytes });
          } catch (error) {
            // Written by different contracts: they stay apart until the older ones make a large file by themselves.
            if (!isTidemillError(error, 'ARCHIVE_INCOMPATIBLE')) throw error;
          } finally {
            await rm(output, { force: true });
          }
        }
      }
    }
  } finally {
    await producer.close();
  }
  return done;
}

/** Ranges to be merged: such that follow on one another without a gap, and are worth it. */
export function groupsOf(
  ranges: readonly ArchivedRange[],
  bytesOf: ReadonlyMap<string, number>,
  options: Pick<CompactOptions, 'targetBytes' | 'maxRows' | 'minFiles'>,
): ArchivedRange[][] {
  const { targetBytes = TARGET_BYTES, maxRows = MAX_ROWS, minFiles = MIN_FILES } = options;
  const sizeOf = ({ files }: ArchivedRange): number => files.reduce((sum, { uri }) => sum + (bytesOf.get(uri) ?? 0), 0);
  const groups: ArchivedRange[][] = [];
  let group: ArchivedRange[] = [];
  let bytes = 0;
  let rows = 0;
  const close = (): void => {
    const files = group.reduce((sum, each) => sum + each.files.length, 0);
    if (files >= 2 && (files >= minFiles || bytes >= targetBytes)) groups.push(group);
    group = [];
    bytes = 0;
    rows = 0;
  };
  for (const range of ranges) {
    const size = sizeOf(range);
    const before = group.at(-1);
    if (before !== undefined && (before.last + 1 < range.first || rows + range.rows > maxRows)) close();
    // One that is large stays as it is: it would be written again and again.
    if (size >= targetBytes / 2) {
      close();
      continue;
    }
    group.push(range);
    bytes += size;
    rows += range.rows;
    if (bytes >= targetBytes) close();
  }
  close();
  return groups;
}
