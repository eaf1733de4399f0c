import type { ArchiveManifestRecord } from '../../contracts/records.js';
import type { ArchivedRange } from './archivedRanges.js';

/**
 * A topic of one identity, as the archive knows one of its partitions. A topic that is deleted and created anew begins with
 * offset 0 again; what is archived of the two stays apart:
 *
 *   manifests     0-99 A   100-149 A   0-49 B   150-159 A   50-89 B
 *   incarnations  A: 0-99, 100-149, 150-159                          the topic of before
 *                 B: 0-49, 50-89                                     the topic of now
 */
export interface Incarnation {
  /** Null where no manifest names one: they were written before identities were kept, or of a broker that tells none. */
  topicId: string | null;
  /** What counts of it, in the order of the log. */
  ranges: ArchivedRange[];
}

/** Takes one more manifest of the partition; the newest incarnation is the last one. */
export function takeManifest(incarnations: Incarnation[], manifest: ArchiveManifestRecord): void {
  const { first, last, rows, files, replaces, writer } = manifest;
  const range: ArchivedRange = { first, last, rows, files, ...(writer === undefined ? {} : { writer }) };
  if (replaces !== undefined) {
    replace(incarnations, range, replaces);
    return;
  }
  incarnationOf(incarnations, manifest).ranges.push(range);
}

function incarnationOf(incarnations: Incarnation[], { topicId, begins }: ArchiveManifestRecord): Incarnation {
  const known = topicId === undefined ? undefined : incarnations.find((each) => each.topicId === topicId);
  if (known !== undefined) return known;
  const last = incarnations.at(-1);
  if (last !== undefined && begins !== true && (topicId === undefined || last.topicId === null)) {
    // Who wrote the manifest had seen that those before it are of the same topic.
    last.topicId ??= topicId ?? null;
    return last;
  }
  const next: Incarnation = { topicId: topicId ?? null, ranges: [] };
  incarnations.push(next);
  return next;
}

/** A merge counts only where all that it replaces counted until then: of two merges of the same files the first one does. */
function replace(incarnations: readonly Incarnation[], merged: ArchivedRange, replaces: readonly string[]): void {
  const holder = incarnations.find(({ ranges }) => {
    const counting = new Set(ranges.flatMap(({ files }) => files.map(({ uri }) => uri)));
    return replaces.every((uri) => counting.has(uri));
  });
  if (holder === undefined) return;
  const within = ({ first, last }: ArchivedRange): boolean => first >= merged.first && last <= merged.last;
  holder.ranges = [...holder.ranges.filter((each) => !within(each)), merged];
}

/**
 * What is archived of the topic that has the name now.
 *
 * @param topicId undefined where the topic does not exist, or the broker tells no identities: the newest one counts then.
 */
export function rangesOfTopic(
  incarnations: readonly Incarnation[],
  topicId: string | undefined,
): readonly ArchivedRange[] {
  const last = incarnations.at(-1);
  if (topicId === undefined || last === undefined) return last?.ranges ?? [];
  const own = incarnations.find((each) => each.topicId === topicId);
  return own?.ranges ?? (last.topicId === null ? last.ranges : []);
}
