import type { ArchiveManifestRecord } from '../../contracts/records.js';
import { archiveTopic } from '../../contracts/topics.js';
import type { Log } from '../../stores/log/log.js';
import { readTopic } from '../audit/readTopic.js';

/** What the archive holds of one topic. */
export interface ArchivedFiles {
  readonly files: readonly { readonly uri: string; readonly sha256: string }[];
  /** Offset after the last archived one, by partition. */
  readonly upTo: Readonly<Record<number, number>>;
}

/** Files and coverage by topic, as the manifests name them. */
export async function archiveFiles(log: Log, project: string): Promise<ReadonlyMap<string, ArchivedFiles>> {
  const byTopic = new Map<string, { files: { uri: string; sha256: string }[]; upTo: Record<number, number> }>();
  for (const record of await readTopic(log, archiveTopic(project))) {
    const manifest = JSON.parse(record.value?.toString('utf8') ?? 'null') as ArchiveManifestRecord;
    let known = byTopic.get(manifest.topic);
    if (known === undefined) {
      known = { files: [], upTo: {} };
      byTopic.set(manifest.topic, known);
    }
    known.files.push(...manifest.files);
    known.upTo[manifest.partition] = Math.max(known.upTo[manifest.partition] ?? 0, manifest.last + 1);
  }
  return byTopic;
}
