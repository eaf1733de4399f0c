import { Context } from '@temporalio/activity';
import { DAY_MS } from '../contracts/duration.js';
import { hashOf } from '../features/hash.js';
import type { TriggerKind } from '../contracts/workflows.js';
import { compileFallback } from '../models/decide.js';
import { judgeData, judgeDataSkew } from '../models/gates/dataGates.js';
import { judgeAbsolute, judgeComparative, measure, notApplicable, type TestRows } from '../models/gates/modelGates.js';
import { promotionAllowed, type Verdict } from '../models/gates/verdict.js';
import { TidemillError } from '../contracts/errors.js';
import type { CompiledModel, MetricName } from '../models/definition.js';
import { marginOf } from '../models/operationalGates.js';
import { OnnxModel } from '../scoring/onnxModel.js';
import type { VectorMatrix } from '../stores/offline/offlineStore.js';
import type { Fence } from '../stores/registry/registry.js';
import { loadDataset, type BuiltDataset } from './dataset/buildDataset.js';
import { rowsOf } from './dataset/splitDataset.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { journaled } from './journal.js';
import type { FittedModel } from './trainingActivities.js';

export interface Judgement {
  readonly allowed: boolean;
  readonly verdicts: readonly Verdict[];
  readonly metrics: Record<string, number>;
}

const REPORTED_METRICS: readonly MetricName[] = [
  'auc',
  'average_precision',
  'log_loss',
  'brier',
  'calibration_error',
  'precision_at_100',
];
const BATCH_ROWS = 8_192;

/** Judges data and models; verdicts are stored with the numbers that they rest on. */
export function createGateActivities(dependencies: ActivityDependencies) {
  const { registry, objects, offline, modelOf } = dependencies;
  const store = async (fence: Fence, verdicts: readonly Verdict[]): Promise<void> => {
    for (const verdict of verdicts)
      await registry.storeEvidence(fence, null, `${verdict.kind}/${verdict.gate}`, verdict);
  };
  return withFailures({
    async judgeDataset(fence: Fence, dataset: BuiltDataset): Promise<Judgement> {
      return journaled(dependencies, fence, 'dataGates', { dataset: dataset.manifest.sha256 }, async () => {
        const declared = modelOf(fence.model).gates.operational.find(({ kind }) => kind === 'skew');
        const verdicts = judgeData(dataset);
        if (declared !== undefined) verdicts.push(judgeDataSkew(dataset, marginOf(declared)));
        await store(fence, verdicts);
        const allowed = verdicts.every(({ verdict }) => verdict === 'pass' || verdict === 'notApplicable');
        return { allowed, verdicts, metrics: {} };
      });
    },

    /**
     * Judges the evaluation fit on the test rows, which are later than everything that it learned from, against the
     * champion on the same rows, or against the fallback rules where there is no champion.
     */
    async judgeModel(
      fence: Fence,
      dataset: BuiltDataset,
      evaluation: FittedModel,
      trigger: TriggerKind,
    ): Promise<Judgement> {
      return journaled(dependencies, fence, 'gates', { evaluation: evaluation.artifact.sha256, trigger }, async () => {
        const model = modelOf(fence.model);
        const champion = (await registry.deployment(fence.model))?.champion ?? null;
        const matrix = await loadDataset({ objects, offline }, dataset, model.request.fields.length);
        const { start, end } = rowsOf(matrix, dataset.split.test);
        const rows = testRows(matrix, start, end);
        const candidate = await scoresOf(evaluation.artifact, matrix, start, end);
        Context.current().heartbeat();
        const seedFor = (gate: string, reference: string): number =>
          Number.parseInt(
            hashOf([evaluation.artifact.sha256, reference, dataset.data.sha256, gate, 1]).slice(0, 8),
            16,
          );

        const verdicts: Verdict[] = model.gates.absolute.map((gate) => judgeAbsolute(gate, rows, candidate));
        const comparisons = trigger === 'drift' ? model.gates.drift : model.gates.refresh;
        if (champion === null) {
          const fallback = compileFallback(model);
          const baseline = Float64Array.from({ length: end - start }, (_, row) =>
            fallback(matrix.requests?.[start + row] ?? []),
          );
          verdicts.push(...comparisons.map(notApplicable));
          const gate = { kind: 'superior', metric: 'average_precision', margin: 0 } as const;
          verdicts.push(judgeComparative(gate, 'baseline', rows, candidate, baseline, seedFor('baseline', 'fallback')));
        } else {
          const version = await registry.version(fence.model, champion);
          if (version === null) throw new Error(`invariant broken: champion ${champion} is not registered`);
          // What the champion reads may be another service: it is judged on its own inputs to the same rows.
          const own = await referenceRows(dataset, matrix, version.service, model);
          const reference = await scoresOf(version.artifact, own, start, end);
          for (const gate of comparisons) {
            verdicts.push(
              judgeComparative(
                gate,
                'champion',
                rows,
                candidate,
                reference,
                seedFor(gate.kind, version.artifact.sha256),
              ),
            );
            Context.current().heartbeat();
          }
        }
        await store(fence, verdicts);
        const metrics: Record<string, number> = { test_rows: rows.labels.length };
        for (const metric of REPORTED_METRICS) {
          const value = measure(metric, rows, candidate);
          if (value !== null) metrics[metric] = value;
        }
        return { allowed: promotionAllowed(verdicts), verdicts, metrics };
      });
    },
  });

  /** @throws TidemillError INPUTS_CHANGED where the dataset was built beside another champion. */
  async function referenceRows(
    dataset: BuiltDataset,
    matrix: VectorMatrix,
    service: string,
    model: CompiledModel,
  ): Promise<VectorMatrix> {
    const { reference } = dataset;
    if (reference === undefined && service === model.service.hash) return matrix;
    if (reference?.service !== service) {
      throw new TidemillError('INPUTS_CHANGED', `${model.name}: the dataset has no rows of service ${service}`, {
        model: model.name,
        service,
      });
    }
    const table = { ...dataset, data: reference.data, columns: reference.columns };
    const rows = await loadDataset({ objects, offline }, table, model.request.fields.length);
    if (rows.ids.some((id, row) => id !== matrix.ids[row])) throw new Error('invariant broken: the rows differ');
    return rows;
  }

  async function scoresOf(
    artifact: { uri: string; sha256: string },
    matrix: VectorMatrix,
    start: number,
    end: number,
  ): Promise<Float64Array> {
    const columns = matrix.columns.length;
    const loaded = await OnnxModel.load(await objects.get(artifact.uri, artifact.sha256), columns, artifact.uri);
    const scores = new Float64Array(end - start);
    try {
      for (let from = start; from < end; from += BATCH_ROWS) {
        const until = Math.min(end, from + BATCH_ROWS);
        const batch = Float32Array.from(matrix.values.subarray(from * columns, until * columns));
        scores.set(await loaded.score(batch, until - from), from - start);
      }
    } finally {
      await loaded.close();
    }
    return scores;
  }
}

/** Rows [start, end) of a dataset; one without an entity keeps its null: it is a cluster of its own, not one with all others. */
export function testRows(matrix: VectorMatrix, start: number, end: number): TestRows {
  return {
    labels: (matrix.labels as Float64Array).slice(start, end),
    days: Int32Array.from(matrix.times.subarray(start, end), (time) => Math.floor(time / DAY_MS)),
    entities: matrix.entities.slice(start, end) as (number | string | null)[],
  };
}
