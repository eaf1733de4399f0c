import type { AuditPlan } from '../../contracts/consistency.js';
import type { PredictionRecord } from '../../contracts/records.js';
import { predictionsTopic } from '../../contracts/topics.js';
import type { CompiledModel } from '../../models/definition.js';
import type { ServedRow } from '../../stores/offline/archiveReader.js';
import { localFiles, unarchived } from './archivedRanges.js';
import { partsOfTopics, type AuditParts, type Checkpoint } from './recompute.js';
import { jsonOf } from './readTopic.js';
import { isRecomputed, RowSampler, servedRow } from './sampleRows.js';

export interface DrawnRows {
  /** Served requests in the range. */
  readonly rows: number;
  /** Those of them that were served under other definitions of the features, or are late replays. */
  readonly ofOtherInputs: number;
  readonly sample: readonly ServedRow[];
}

const FILES_AT_ONCE = 200;

/**
 * Draws the rows of an audit out of all served predictions of its range: from the archive, and from the log what is not
 * archived yet. The same rows are drawn wherever the border between the two lies.
 *
 * @throws TidemillError OFFSET_LOST
 */
export async function drawServed(
  audit: AuditParts,
  model: CompiledModel,
  plan: Omit<AuditPlan, 'model'>,
  checkpoint: Checkpoint,
): Promise<DrawnRows> {
  const { log, objects, offline, project } = audit;
  const { from, to, sample: size, seed } = plan;
  const topic = predictionsTopic(project, model.name);
  const parts = (await partsOfTopics(audit, model, plan.ends, [topic])).get(topic) ?? [];
  const { hash, columns } = model.service;
  const sampler = new RowSampler<ServedRow>(size, seed);
  let [rows, ofOtherInputs] = [0, 0];
  const ranges = parts.flatMap(({ archived }) => archived.filter(({ files }) => files.length > 0));
  const query = { ends: plan.ends[topic] ?? {}, from, to, service: hash, columns: columns.length, size, seed };
  for (let at = 0; at < ranges.length; at += FILES_AT_ONCE) {
    await checkpoint((0.5 * at) / ranges.length);
    const files = await localFiles(objects, ranges.slice(at, at + FILES_AT_ONCE));
    const found = await offline.archive.sampleServed({ ...query, files });
    rows += found.rows;
    ofOtherInputs += found.ofOtherInputs;
    for (const row of found.sample) sampler.add(row);
  }
  for (const part of parts) {
    for await (const records of unarchived(log, topic, part)) {
      await checkpoint(0.5);
      for (const record of records) {
        const prediction = jsonOf<PredictionRecord>(record);
        if (prediction.at < from || prediction.at >= to) continue;
        rows++;
        if (prediction.service === hash && isRecomputed(prediction))
          sampler.add(servedRow(prediction, record.timestamp));
        else ofOtherInputs++;
      }
    }
  }
  return { rows, ofOtherInputs, sample: sampler.rows() };
}
