import { Context } from '@temporalio/activity';
import { isTidemillError, messageOf } from '../contracts/errors.js';
import type { CompiledModel } from '../models/definition.js';
import { serviceOfVersion } from '../scoring/versionServices.js';
import type { VectorMatrix } from '../stores/offline/offlineStore.js';
import type { Fence } from '../stores/registry/registry.js';
import { buildDataset, loadDataset, type BuiltDataset } from './dataset/buildDataset.js';
import { rowsOf } from './dataset/splitDataset.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { journaled } from './journal.js';
import { exportModel, type ExportedModel } from './training/exportModel.js';
import { trainLogistic } from './training/trainLogistic.js';
import { checkpointIdentity, trainXgboost, type Checkpoint } from './training/trainXgboost.js';

/** A fitted and exported model, by reference. */
export interface FittedModel {
  readonly artifact: { readonly uri: string; readonly sha256: string; readonly bytes: number };
  readonly rows: number;
  readonly positives: number;
  readonly parity: ExportedModel['parity'];
  /** Rounds that an earlier attempt had trained, and that were gone on from; 0 where it began at the start. */
  readonly resumedAt?: number;
}

/** Datasets and fits: the heavy activities. */
export function createTrainingActivities(dependencies: ActivityDependencies) {
  const { registry, objects, offline } = dependencies;
  return withFailures({
    async buildDataset(fence: Fence, onset: number | null): Promise<BuiltDataset> {
      return journaled(dependencies, fence, 'dataset', { onset }, async () => {
        const model = dependencies.modelOf(fence.model);
        const champion = (await registry.deployment(fence.model))?.champion ?? null;
        const service = champion === null ? model.service : await serviceOfVersion(dependencies, model, champion);
        const reference = service.hash === model.service.hash ? null : service;
        return buildDataset(dependencies, model, onset, reference, (share) => Context.current().heartbeat({ share }));
      });
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
    const of = checkpointIdentity({ dataset: dataset.data.sha256, range, spec: model.trainer });
    const resume = await earlierAttempt(of);
    let checkpoint: Checkpoint | null = resume?.checkpoint ?? null;
    // From the first moment on, and with what an earlier attempt got to: a second crash must not lose it.
    const context = Context.current();
    const timer = setInterval(() => context.heartbeat(checkpoint), 1_000);
    try {
      const matrix = await loadDataset({ objects, offline }, dataset, model.request.fields.length);
      const train = slice(matrix, range);
      const test = slice(matrix, dataset.split.test);
      const exported = await trainAndExport(model, train, test, dataset.columns, resume, (next) => {
        checkpoint = { ...next, of };
        context.heartbeat(checkpoint);
      });
      const artifact = await objects.put('models', 'onnx', exported.onnx);
      return {
        artifact,
        rows: train.rows,
        positives: train.labels.reduce((sum, label) => sum + label, 0),
        parity: exported.parity,
        resumedAt: resume?.checkpoint.rounds ?? 0,
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
    resume: EarlierAttempt | null,
    onCheckpoint: (checkpoint: Omit<Checkpoint, 'of'>) => void,
  ): Promise<ExportedModel> {
    const signal = Context.current().cancellationSignal;
    const parityRows = { rows: test.rows, columns: test.columns, values: test.values };
    if (trainer.kind === 'logistic') {
      const fitted = await trainLogistic({ spec: trainer, train, test, columnNames: columns, signal });
      return exportModel({ kind: 'logistic', model: fitted.model }, { ...parityRows, native: fitted.predictions });
    }
    let saving: Promise<void> = Promise.resolve();
    const { model, predictions } = await trainXgboost({
      library: await dependencies.xgboostLibrary(),
      spec: trainer,
      train,
      test,
      ...(resume === null ? {} : { resume: { rounds: resume.checkpoint.rounds, model: resume.model } }),
      signal,
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

  /** What an earlier attempt left of this very training; null where it starts anew. */
  async function earlierAttempt(of: string): Promise<EarlierAttempt | null> {
    const { info, log } = Context.current();
    const checkpoint = info.heartbeatDetails as Checkpoint | null | undefined;
    if (checkpoint === null || checkpoint === undefined) return null;
    if (checkpoint.of !== of) {
      log.warn('training starts anew: the checkpoint is of other data or parameters', { checkpoint, of });
      return null;
    }
    try {
      return { checkpoint, model: await objects.get(checkpoint.uri, checkpoint.sha256) };
    } catch (error) {
      if (!isTidemillError(error, 'OBJECT_NOT_FOUND') && !isTidemillError(error, 'OBJECT_CORRUPT')) throw error;
      log.warn(`training starts anew: ${messageOf(error)}`, { checkpoint });
      return null;
    }
  }
}

/** A checkpoint and the model that it refers to. */
interface EarlierAttempt {
  readonly checkpoint: Checkpoint;
  readonly model: Uint8Array;
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
