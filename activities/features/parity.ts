import { Context } from '@temporalio/activity';
import { TidemillError } from '../../contracts/errors.js';
import type { PredictionRecord } from '../../contracts/records.js';
import { predictionsTopic } from '../../contracts/topics.js';
import type { CompiledService } from '../../features/compiledView.js';
import type { CompiledModel } from '../../models/definition.js';
import { compareVectors } from '../audit/compareVectors.js';
import { isRecomputed } from '../audit/sampleRows.js';
import type { ActivityDependencies } from '../dependencies.js';
import { StallWatch } from '../stallWatch.js';
import { tailTopic } from '../tailTopic.js';
import { sampleSource } from './sampleSource.js';

/** Vectors that are compared: each rests on one of as many requests, spread over all partitions. */
const SAMPLE_ROWS = 64;
/** Predictions of a partition that are looked through for them, before what comes. */
const RECENT = 2_000;
const LOOK_MS = 250;

/**
 * Recomputes vectors of a service that instances computed, whichever version they served the requests with.
 *
 * @param waits where there are too few, are more waited for as long as stream time goes on?
 * @throws TidemillError FEATURES_DIFFER naming the first difference; FEATURES_NOT_READY where none came.
 */
export async function parityOf(
  dependencies: ActivityDependencies,
  model: CompiledModel,
  service: CompiledService,
  waits: boolean,
): Promise<{ readonly rows: number; readonly maxDifference: number }> {
  const { project } = dependencies;
  const sample = await gather(dependencies, model, service, waits);
  if (sample.length === 0 && waits) {
    throw new TidemillError(
      'FEATURES_NOT_READY',
      `${model.name}: inconclusive: no request shows what service ${service.hash.slice(0, 12)} computes`,
      { model: model.name, service: service.hash },
    );
  }
  if (sample.length === 0) return { rows: 0, maxDifference: 0 };
  const context = Context.current();
  const findings: string[] = [];
  const source = sampleSource(dependencies, model, [service], sample, () => context.heartbeat({ rows: sample.length }));
  const find = (text: string): number => findings.push(text);
  const { maxDifference } = await compareVectors(source, project, model, sample, [service], find, () => undefined);
  if (maxDifference > 0) {
    throw new TidemillError('FEATURES_DIFFER', `${model.name}: ${findings[0] ?? `difference ${maxDifference}`}`, {
      model: model.name,
      service: service.hash,
      maxDifference,
      findings: findings.slice(0, 5),
    });
  }
  return { rows: sample.length, maxDifference };
}

/** Predictions that show a vector of the service, each as if it had been served with it. */
async function gather(
  { log, project }: ActivityDependencies,
  model: CompiledModel,
  service: CompiledService,
  waits: boolean,
): Promise<PredictionRecord[]> {
  const context = Context.current();
  const topic = predictionsTopic(project, model.name);
  if ((await log.partitionCount(topic)) === null && !waits) return [];
  const ranges = (await log.partitionCount(topic)) === null ? [] : await log.offsets(topic);
  const perPartition = Math.ceil(SAMPLE_ROWS / Math.max(1, ranges.length));
  const byPartition = new Map<number, PredictionRecord[]>();
  let read = 0;
  const from = Object.fromEntries(
    ranges.map(({ partition, low, high }) => [partition, Math.max(low, high - RECENT)] as const),
  );
  const stall = new StallWatch(model.stallAfterMs);
  const tail = await tailTopic(log, topic, from, ({ value, partition }) => {
    read++;
    const prediction = JSON.parse(value?.toString('utf8') ?? 'null') as PredictionRecord;
    const shown =
      prediction.service === service.hash ? prediction : prediction.also?.find((each) => each.service === service.hash);
    if (shown === undefined || !isRecomputed(prediction)) return;
    const { also: _, ...rest } = prediction;
    const rows = byPartition.get(partition) ?? [];
    // The newest count: they were made by who is live.
    byPartition.set(partition, [...rows, { ...rest, ...pick(shown, service.hash) }].slice(-perPartition));
  });
  const rowsOf = (): PredictionRecord[] => [...byPartition.values()].flat();
  try {
    for (let looks = 0; ; looks++) {
      tail.check();
      context.heartbeat({ sample: rowsOf().length, wanted: SAMPLE_ROWS });
      const isRead = ranges.every(({ high, low, partition }) => high - (from[partition] ?? low) === 0) || read > 0;
      if (rowsOf().length >= SAMPLE_ROWS && isRead) break;
      if (!waits && looks >= 8) break;
      if (stall.isStalled(read)) break;
      await context.sleep(LOOK_MS);
    }
  } finally {
    await tail.stop();
  }
  return rowsOf();
}

function pick(
  shown: Pick<PredictionRecord, 'service' | 'vector'>,
  service: string,
): Pick<PredictionRecord, 'service' | 'vector'> {
  return { service, vector: shown.vector };
}
