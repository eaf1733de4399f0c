import { archivedRanges, batchesOf, localFiles, partsOf, unarchived } from '../activities/audit/archivedRanges.js';
import { jsonOf } from '../activities/audit/readTopic.js';
import type { ReportRecord } from '../contracts/performanceReport.js';
import { reportsTopic } from '../contracts/topics.js';
import type { BucketReport } from '../models/monitoring/dailyReports.js';
import type { Log } from '../stores/log/log.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { OfflineStore } from '../stores/offline/offlineStore.js';
import { archivedReport, REPORT_STREAM } from '../streams/topologies/archive/reportRows.js';

/**
 * All reports on a model, every revision: from the archive, and from the log what that does not have yet. A model that nobody
 * monitors has none.
 *
 * @throws TidemillError OFFSET_LOST
 */
export async function readReports(
  parts: {
    readonly project: string;
    readonly log: Log;
    readonly objects: ObjectStore;
    readonly offline: OfflineStore;
  },
  model: string,
): Promise<BucketReport[]> {
  const { project, log, objects, offline } = parts;
  const topic = reportsTopic(project, model);
  if ((await log.partitionCount(topic)) === null) return [];
  const ends = Object.fromEntries((await log.offsets(topic)).map(({ partition, high }) => [partition, high]));
  const archived = (await archivedRanges(log, project, new Set([topic]))).get(topic);
  const reports: BucketReport[] = [];
  for (const part of await partsOf(log, topic, archived, ends)) {
    for (const ranges of batchesOf(part.archived)) {
      for await (const events of offline.readEvents(REPORT_STREAM, await localFiles(objects, ranges)))
        reports.push(...events.map(({ values }) => archivedReport(values)));
    }
    for await (const records of unarchived(log, topic, part))
      reports.push(...records.map((record) => jsonOf<ReportRecord>(record)));
  }
  return reports;
}
