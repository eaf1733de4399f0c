import type { TrainerSpec } from '../../models/definition.js';
import type { LogisticJob, LogisticResult } from './logisticThread.js';
import { runTrainingThread } from './trainingThread.js';
import type { TrainingRows } from './trainXgboost.js';

export interface LogisticTraining {
  readonly spec: Extract<TrainerSpec, { kind: 'logistic' }>;
  readonly train: TrainingRows;
  readonly columnNames: readonly string[];
  /** Rows to predict with the fitted model. */
  readonly test: { readonly rows: number; readonly values: Float64Array };
  readonly onProgress?: (iteration: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Fits a logistic regression in a thread of its own, so that heartbeats go on. There is nothing to resume from: it takes
 * seconds.
 *
 * @throws TidemillError DATASET_HAS_NULLS, TRAINING_FAILED, TRAINING_CANCELLED
 */
export async function trainLogistic(training: LogisticTraining): Promise<LogisticResult> {
  const { spec, train, test, columnNames, signal, onProgress } = training;
  const job: Omit<LogisticJob, 'cancel'> = {
    columns: train.columns,
    columnNames,
    values: shared(train.values),
    labels: shared(train.labels),
    test: { rows: test.rows, values: shared(test.values) },
    l2: spec.l2,
    maxIterations: spec.maxIterations,
  };
  return runTrainingThread<number, LogisticResult>('logisticThread.js', (cancel): LogisticJob => ({ ...job, cancel }), {
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onNote: onProgress }),
  });
}

function shared(values: Float64Array): Float64Array {
  const copy = new Float64Array(new SharedArrayBuffer(values.byteLength));
  copy.set(values);
  return copy;
}
