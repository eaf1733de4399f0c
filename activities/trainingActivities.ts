import { Context } from '@temporalio/activity';
import type { CompiledModel } from '../models/definition.js';
import { fitLogistic } from '../models/logistic.js';
import type { VectorMatrix } from '../stores/offline/offlineStore.js';
import type { Fence } from '../stores/registry/registry.js';
import { buildDataset, loadDataset, type BuiltDataset } from './dataset/buildDataset.js';
import { rowsOf } from './dataset/splitDataset.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { journaled } from './journal.js';
import { exportModel, logisticProbabilities, type ExportedModel } from './training/exportModel.js';
import { trainXgboost } from './training/trainXgboost.js';

/** A fitted and exported model, by reference. */
export interface FittedModel {
  readonly artifact: { readonly uri: string; readonly sha256: string; readonly bytes: number };
  readonly rows: number;
  readonly positives: number;
  readonly parity: ExportedModel['parity'];
}

/** Where a training got to; carried by heartbeats, so that the next attempt resumes. */
interface Checkpoint {
  readonly rounds: number;
  readonly uri: string;
  readonly sha256: string;
}

/** Datasets and fits: the heavy activities. */
export function createTrainingActivities(dependencies: ActivityDependencies) {
  const { objects, offline } = dependencies;
  return withFailures({
    async buildDataset(fence: Fence, onset: number | null): Promise<BuiltDataset> {
      return journaled(dependencies, fence, 'dataset', { onset }, () =>
        buildDataset(dependencies, dependencies.modelOf(fence.model), onset, (share) =>
          Context.current().heartbeat({ share }),
        ),
      );
    },

    /** Learns from the training part alone: it is judged on the rest, and so judges the procedure. */
    async fitEvaluation(fence: Fence, dataset: BuiltDataset): Promise<FittedModel> {
      return journaled(dependencies, fence, 'evaluationFit', { range: dataset.split.train }, () =>
        fit(dependencies, fence, dataset, dataset.split.train),
      );
    },

    /** Learns from all labelled rows: this is what is registered. */
    async fitRelease(fence: Fence, dataset: BuiltDataset): Promise<FittedModel> {
      return journaled(dependencies, fence, 'releaseFit', { range: dataset.split.release }, () =>
        fit(dependencies, fence, dataset, dataset.split.release),
      );
    },
  });

  async function fit(
    { modelOf }: ActivityDependencies,
    fence: Fence,
    dataset: BuiltDataset,
    range: readonly [number, number],
  ): Promise<FittedModel> {
    const model = modelOf(fence.model);
    const matrix = await loadDataset({ objects, offline }, dataset, model.request.fields.length);
    const train = slice(matrix, range);
    const test = slice(matrix, dataset.split.test);
    const timer = setInterval(() => Context.current().heartbeat(checkpoint), 1_000);
    let checkpoint: Checkpoint | null = null;
    try {
      const exported = await trainAndExport(model, train, test, dataset.columns, (next) => {
        checkpoint = next;
      });
      const artifact = await objects.put('models', 'onnx', exported.onnx);
      return {
        artifact,
        rows: train.rows,
        positives: train.labels.reduce((sum, label) => sum + label, 0),
        parity: exported.parity,
      };
    } finally {
      clearInterval(timer);
    }
  }

  async function trainAndExport(
    { trainer }: CompiledModel,
    train: Rows,
    test: Rows,
    columns: readonly string[],
    onCheckpoint: (checkpoint: Checkpoint) => void,
  ): Promise<ExportedModel> {
    const parityRows = { rows: test.rows, columns: test.columns, values: test.values };
    if (trainer.kind === 'logistic') {
      const model = fitLogistic(train.values, train.columns, train.labels, { ...trainer, columnNames: columns });
      return exportModel(
        { kind: 'logistic', model },
        { ...parityRows, native: logisticProbabilities(model, test.values, test.rows) },
      );
    }
    const earlier = Context.current().info.heartbeatDetails as Checkpoint | null | undefined;
    const resume =
      earlier === null || earlier === undefined
        ? undefined
        : { rounds: earlier.rounds, model: await objects.get(earlier.uri, earlier.sha256) };
    let saving: Promise<void> = Promise.resolve();
    const { model, predictions } = await trainXgboost({
      library: await dependencies.xgboostLibrary(),
      spec: trainer,
      train,
      test,
      ...(resume === undefined ? {} : { resume }),
      signal: Context.current().cancellationSignal,
      onSegment: (rounds, bytes) => {
        saving = saving.then(async () => {
          const { uri, sha256 } = await objects.put('checkpoints', 'json', bytes);
          onCheckpoint({ rounds, uri, sha256 });
        });
      },
    });
    await saving;
    return exportModel({ kind: 'xgboost', booster: model }, { ...parityRows, native: predictions ?? [] });
  }
}

interface Rows {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
  readonly labels: Float64Array;
}

function slice(matrix: VectorMatrix, range: readonly [number, number]): Rows {
  const { start, end } = rowsOf(matrix, range);
  const columns = matrix.columns.length;
  return {
    rows: end - start,
    columns,
    values: matrix.values.slice(start * columns, end * columns),
    labels: (matrix.labels as Float64Array).slice(start, end),
  };
}
