import { TidemillError } from '../../contracts/errors.js';
import { readArchivedRanges, withoutRepeats, type ArchivedRange } from '../../stores/archive/archivedRanges.js';
import type { Log, LogRecord } from '../../stores/log/log.js';
import type { ObjectStore } from '../../stores/objects/objectStore.js';

/** Where the records of a partition are: in the archive up to an offset, or to a gap in it; from there on in the log. */
export interface PartitionParts {
  readonly partition: number;
  /** In offset order, without those that repeat others. */
  readonly archived: readonly ArchivedRange[];
  /** First offset to be read from the log, and the end of the reading. */
  readonly logFrom: number;
  readonly end: number;
}

/** Rows of the archive that one query may take in at once. */
const MAX_BATCH_ROWS = 1_000_000;
const MAX_BATCH_FILES = 100;

/** Archived ranges of the topics that are wanted, by topic and partition. */
export async function archivedRanges(
  log: Log,
  project: string,
  topics: ReadonlySet<string>,
): Promise<ReadonlyMap<string, ReadonlyMap<number, readonly ArchivedRange[]>>> {
  const found = new Map<string, ReadonlyMap<number, readonly ArchivedRange[]>>();
  for (const [topic, byPartition] of await readArchivedRanges(log, project, { topics }))
    found.set(topic, new Map([...byPartition].map(([partition, ranges]) => [partition, withoutRepeats(ranges)])));
  return found;
}

/**
 * Where to read a topic up to given ends.
 *
 * @param ends by partition; a partition without one is not read.
 * @throws TidemillError OFFSET_LOST where records are neither in the archive nor in the log any more.
 */
export async function partsOf(
  log: Log,
  topic: string,
  archived: ReadonlyMap<number, readonly ArchivedRange[]> | undefined,
  ends: Readonly<Record<string, number>>,
): Promise<readonly PartitionParts[]> {
  const offsets = (await log.partitionCount(topic)) === null ? [] : await log.offsets(topic);
  return offsets.flatMap(({ partition, low }) => {
    const end = ends[partition];
    if (end === undefined) return [];
    const ranges = (archived?.get(partition) ?? []).filter(({ first }) => first < end);
    const gap = ranges.findIndex(({ first }, at) => at > 0 && first > (ranges[at - 1]?.last ?? -1) + 1);
    const leading = gap === -1 ? ranges : ranges.slice(0, gap);
    const logFrom = Math.min((leading.at(-1)?.last ?? -1) + 1, end);
    const lostTo = Math.min(low, ranges[gap]?.first ?? low, end);
    if (logFrom < Math.min(low, end)) {
      throw new TidemillError(
        'OFFSET_LOST',
        `${topic}-${partition}: offsets ${logFrom} to ${lostTo - 1} are neither in the archive nor in the log`,
        { topic, partition, wanted: logFrom, logStart: low },
      );
    }
    return [{ partition, archived: leading, logFrom, end }];
  });
}

/** The records of a partition that are not archived yet. */
export async function* unarchived(
  log: Log,
  topic: string,
  { partition, logFrom, end }: PartitionParts,
): AsyncIterable<readonly LogRecord[]> {
  if (logFrom < end) yield* log.read({ topic, partition, from: logFrom, to: end });
}

/** Ranges of a partition, as many at a time as one query may take in. */
export function batchesOf(ranges: readonly ArchivedRange[]): readonly (readonly ArchivedRange[])[] {
  const batches: ArchivedRange[][] = [];
  let rows = 0;
  let files = 0;
  for (const range of ranges) {
    if (range.files.length === 0) continue;
    const batch = batches.at(-1);
    // Ranges that overlap are told apart by the offsets of a query.
    const isApart = batch === undefined || (batch.at(-1) as ArchivedRange).last >= range.first;
    if (isApart || rows + range.rows > MAX_BATCH_ROWS || files + range.files.length > MAX_BATCH_FILES) {
      batches.push([range]);
      rows = 0;
      files = 0;
    } else batch.push(range);
    rows += range.rows;
    files += range.files.length;
  }
  return batches;
}

/** Local paths of the files of some ranges, each checked. */
export async function localFiles(objects: ObjectStore, ranges: readonly ArchivedRange[]): Promise<string[]> {
  const paths: string[] = [];
  for (const { uri, sha256 } of ranges.flatMap(({ files }) => files)) paths.push(await objects.localPath(uri, sha256));
  return paths;
}
