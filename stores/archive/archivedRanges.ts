import type { ArchiveManifestRecord } from '../../contracts/records.js';
import { archiveTopic } from '../../contracts/topics.js';
import type { Log, LogRecord } from '../log/log.js';
import { rangesOfTopic, takeManifest, type Incarnation } from './incarnations.js';

/** Offsets of one partition that are in the archive: first <= offset <= last, those without a row included. */
export interface ArchivedRange {
  readonly first: number;
  readonly last: number;
  readonly rows: number;
  readonly files: ArchiveManifestRecord['files'];
  /** Who wrote it; absent where nobody knows, or several did. */
  readonly writer?: string;
}

/** Ranges by topic and partition. */
export type ArchivedTopics = ReadonlyMap<string, ReadonlyMap<number, readonly ArchivedRange[]>>;

/**
 * What counts of the archive, as its manifests say, in the order of the log:
 *
 *   0-9   10-14   15-19                 three files
 *   0-9   10-14   15-19   0-19 merged   one file: the merge names those that it replaces
 *
 * A merge is one record, so a reader has what is merged, or what it was merged from. Of a topic that was deleted and created
 * anew only the newer one counts; see Incarnation.
 */
export async function readArchivedRanges(log: Log, project: string, wanted: Wanted = {}): Promise<ArchivedTopics> {
  const archive = await readIncarnations(log, project, wanted);
  const ids = archive.size === 0 ? new Map<string, string>() : await log.topicIds([...archive.keys()]);
  const found = new Map<string, Map<number, readonly ArchivedRange[]>>();
  for (const [topic, byPartition] of archive) {
    const ranges = [...byPartition].map(
      ([partition, incarnations]) => [partition, rangesOfTopic(incarnations, ids.get(topic))] as const,
    );
    const counting = ranges.filter(([, each]) => each.length > 0);
    if (counting.length > 0) found.set(topic, new Map(counting));
  }
  return found;
}

/** All that the archive holds, by topic and partition: of topics that were deleted, too. */
export async function readIncarnations(
  log: Log,
  project: string,
  wanted: Wanted = {},
): Promise<ReadonlyMap<string, ReadonlyMap<number, readonly Incarnation[]>>> {
  const topic = archiveTopic(project);
  const found = new Map<string, Map<number, Incarnation[]>>();
  if ((await log.partitionCount(topic)) === null) return found;
  for (const { partition, low, high } of await log.offsets(topic)) {
    for await (const batch of log.read({ topic, partition, from: low, to: high })) {
      for (const record of batch) {
        const manifest = manifestOf(record);
        if (wanted.topics?.has(manifest.topic) === false) continue;
        if (wanted.partition !== undefined && wanted.partition !== manifest.partition) continue;
        const byPartition = found.get(manifest.topic) ?? new Map<number, Incarnation[]>();
        found.set(manifest.topic, byPartition);
        const incarnations = byPartition.get(manifest.partition) ?? [];
        byPartition.set(manifest.partition, incarnations);
        takeManifest(incarnations, manifest);
      }
    }
  }
  return found;
}

/** Which topics, and which of their partitions. @default all */
interface Wanted {
  readonly topics?: ReadonlySet<string>;
  readonly partition?: number;
}

function manifestOf({ value }: LogRecord): ArchiveManifestRecord {
  return JSON.parse(value?.toString('utf8') ?? 'null') as ArchiveManifestRecord;
}

/** In offset order, without what others hold: an archive that was started anew has ranges twice. */
export function withoutRepeats(ranges: readonly ArchivedRange[]): ArchivedRange[] {
  const kept: ArchivedRange[] = [];
  let next = 0;
  for (const range of [...ranges].sort((a, b) => a.first - b.first || b.last - a.last)) {
    if (range.last < next) continue;
    kept.push(range);
    next = range.last + 1;
  }
  return kept;
}

/** A stretch of offsets: from <= offset < to. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Where what is archived without a gap and reaches `to` begins; `to` itself where nothing does. `lost` is the gap before it. */
export function reachTo(ranges: readonly ArchivedRange[], to: number): { from: number; lost: Stretch | null } {
  let from = to;
  for (const { first, last } of [...ranges].sort((a, b) => b.last - a.last)) {
    if (last + 1 < from) return { from, lost: { from: last + 1, to: from } };
    from = Math.min(from, first);
  }
  return { from, lost: null };
}
