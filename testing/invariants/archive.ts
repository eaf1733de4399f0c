import { jsonOf, readTopic } from '../../activities/audit/readTopic.js';
import type { ArchiveManifestRecord } from '../../contracts/records.js';
import { archiveTopic } from '../../contracts/topics.js';
import type { Log } from '../../stores/log/log.js';

/** Every record of an archived topic lies in exactly one manifest's range. Returns how many records were looked at. */
export async function compareArchive(
  log: Log,
  project: string,
  topics: readonly string[],
  find: (text: string) => void,
): Promise<number> {
  const manifests = (await readTopic(log, archiveTopic(project))).map((each) => jsonOf<ArchiveManifestRecord>(each));
  let records = 0;
  for (const topic of topics) {
    for (const { partition, offset } of await readTopic(log, topic)) {
      records++;
      const holders = manifests.filter(
        (each) => each.topic === topic && each.partition === partition && each.first <= offset && offset <= each.last,
      );
      if (holders.length !== 1) find(`${topic}-${partition} offset ${offset} is in ${holders.length} archived ranges`);
    }
  }
  return records;
}
