import { readArchivedRanges } from '../../stores/archive/archivedRanges.js';
import type { Log } from '../../stores/log/log.js';

/** What the archive holds of one topic. */
export interface ArchivedFiles {
  readonly files: readonly { readonly uri: string; readonly sha256: string }[];
  /** Offset after the last archived one, by partition. */
  readonly upTo: Readonly<Record<number, number>>;
}

/** Files and coverage by topic, as the manifests name them. */
export async function archiveFiles(log: Log, project: string): Promise<ReadonlyMap<string, ArchivedFiles>> {
  const byTopic = new Map<string, ArchivedFiles>();
  for (const [topic, byPartition] of await readArchivedRanges(log, project)) {
    const upTo: Record<number, number> = {};
    for (const [partition, ranges] of byPartition) upTo[partition] = Math.max(...ranges.map(({ last }) => last + 1));
    byTopic.set(topic, { files: [...byPartition.values()].flat().flatMap(({ files }) => files), upTo });
  }
  return byTopic;
}
