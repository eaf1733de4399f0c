import type { ArchiveManifestRecord } from '../../contracts/records.js';
import { archiveTopic } from '../../contracts/topics.js';
import type { OutgoingRecord } from '../log/log.js';

/**
 * A manifest as a record. All of a partition lie in one partition of the archive's topic, in their order, though streams may
 * have more partitions than it.
 *
 * @param partitions of the archive's topic.
 */
export function manifestRecord(project: string, manifest: ArchiveManifestRecord, partitions: number): OutgoingRecord {
  const { topic, partition } = manifest;
  return {
    topic: archiveTopic(project),
    partition: partition % partitions,
    key: `${topic}-${partition}`,
    value: JSON.stringify(manifest),
  };
}
