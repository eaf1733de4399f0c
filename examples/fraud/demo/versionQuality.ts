import { outcomesTopic, predictionsTopic } from '../../../contracts/topics.js';
import type { OutcomeRecord, PredictionRecord } from '../../../contracts/records.js';
import { readTopic } from '../../../activities/audit/readTopic.js';
import type { CompiledModel } from '../../../models/definition.js';
import { averagePrecision } from '../../../models/metrics/ranking.js';
import { OnnxModel } from '../../../scoring/onnxModel.js';
import type { Log } from '../../../stores/log/log.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import type { Registry } from '../../../stores/registry/registry.js';

/**
 * Average precision of every version on the same rows: the labelled requests that the last version served as champion. Those
 * that it served in its canary came before the promotion.
 */
export async function qualityAfterPromotion(
  log: Log,
  project: string,
  model: CompiledModel,
  registry: Registry,
  objects: ObjectStore,
): Promise<{ rows: number; positives: number; averagePrecision: Map<number, number> }> {
  const versions = await registry.versions(model.name);
  const newest = (await registry.deployment(model.name))?.champion ?? 0;
  const labels = new Map<string, number>();
  for (const { value } of await readTopic(log, outcomesTopic(project, model.name))) {
    const outcome = JSON.parse(value?.toString('utf8') ?? 'null') as OutcomeRecord;
    if (outcome.version === newest && outcome.role === 'champion') labels.set(String(outcome.id), outcome.label);
  }
  const columns = model.service.columns.length;
  const vectors: number[][] = [];
  const truth: number[] = [];
  for (const { value } of await readTopic(log, predictionsTopic(project, model.name))) {
    const prediction = JSON.parse(value?.toString('utf8') ?? 'null') as PredictionRecord;
    const label = labels.get(String(prediction.id));
    if (label === undefined) continue;
    vectors.push(prediction.vector.map((each) => each ?? Number.NaN));
    truth.push(label);
  }
  const result = new Map<number, number>();
  for (const version of versions) {
    const loaded = await OnnxModel.load(
      await objects.get(version.artifact.uri, version.artifact.sha256),
      columns,
      `version ${version.version}`,
    );
    const scores: number[] = [];
    for (let start = 0; start < vectors.length; start += 4_096) {
      const batch = vectors.slice(start, start + 4_096);
      scores.push(...(await loaded.score(Float32Array.from(batch.flat()), batch.length)));
    }
    await loaded.close();
    result.set(version.version, averagePrecision(Float64Array.from(truth), Float64Array.from(scores)) ?? 0);
  }
  return { rows: truth.length, positives: truth.reduce((sum, label) => sum + label, 0), averagePrecision: result };
}
