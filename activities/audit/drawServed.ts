import type { AuditPlan } from '../../contracts/consistency.js';
import type { PredictionRecord } from '../../contracts/records.js';
import { predictionsTopic } from '../../contracts/topics.js';
import type { CompiledService } from '../../features/compiledView.js';
import type { CompiledModel } from '../../models/definition.js';
import type { ServedRow } from '../../stores/offline/archiveReader.js';
import { localFiles, unarchived } from './archivedRanges.js';
import { partsOfTopics, type AuditParts, type Checkpoint } from './recompute.js';
import { jsonOf } from './readTopic.js';
import { namedService, RowSampler, servedRow } from './sampleRows.js';

export interface DrawnRows {
  /** Served requests in the range by the hash of the service that they name; '' for those without a whole vector. */
  readonly rows: ReadonlyMap<string, number>;
  readonly sample: readonly ServedRow[];
}

const FILES_AT_ONCE = 200;

/**
 * Draws the rows of an audit out of all served predictions of its range, whatever service they were served under: from the
 * archive, and from the log what is not archived yet. The same rows are drawn wherever the border between the two lies.
 *
 * @param services whose vectors are wanted; rows of others are drawn alike, perhaps without the end of their vectors.
 * @throws TidemillError OFFSET_LOST
 */
export async function drawServed(
  audit: AuditParts,
  model: CompiledModel,
  services: readonly CompiledService[],
  plan: Omit<AuditPlan, 'model'>,
  checkpoint: Checkpoint,
): Promise<DrawnRows> {
  const { log, objects, offline, project } = audit;
  const { from, to, sample: size, seed } = plan;
  const topic = predictionsTopic(project, model.name);
  const parts = (await partsOfTopics(audit, plan.ends, [topic])).get(topic) ?? [];
  const columns = Math.max(0, ...services.map((service) => service.columns.length));
  const sampler = new RowSampler<ServedRow>(size, seed);
  const rows = new Map<string, number>();
  const count = (service: string, found: number): void => void rows.set(service, (rows.get(service) ?? 0) + found);
  const ranges = parts.flatMap(({ archived }) => archived.filter(({ files }) => files.length > 0));
  const query = { ends: plan.ends[topic] ?? {}, from, to, columns, size, seed };
  for (let at = 0; at < ranges.length; at += FILES_AT_ONCE) {
    await checkpoint((0.5 * at) / ranges.length);
    const files = await localFiles(objects, ranges.slice(at, at + FILES_AT_ONCE));
    const found = await offline.archive.sampleServed({ ...query, files });
    for (const [service, number] of found.rows) count(service, number);
    for (const row of found.sample) sampler.add(row);
  }
  for (const part of parts) {
    for await (const records of unarchived(log, topic, part)) {
      await checkpoint(0.5);
      for (const record of records) {
        const prediction = jsonOf<PredictionRecord>(record);
        if (prediction.at < from || prediction.at >= to) continue;
        const service = namedService(prediction);
        count(service, 1);
        if (service !== '') sampler.add(servedRow(prediction, record.timestamp));
      }
    }
  }
  return { rows, sample: sampler.rows() };
}
