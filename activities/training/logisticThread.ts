import { fitLogistic, logisticProbabilities, type LogisticModel } from '../../models/logistic.js';
import { isCancelled, serveTraining, TrainingCancelled } from './threadBody.js';

/** What the training thread is given. Arrays are shared memory. */
export interface LogisticJob {
  readonly columns: number;
  readonly columnNames: readonly string[];
  readonly values: Float64Array;
  readonly labels: Float64Array;
  /** Rows to predict with the fitted model. */
  readonly test: { readonly rows: number; readonly values: Float64Array };
  readonly l2: number;
  readonly maxIterations: number;
  /** Set to 1 to make the thread end between two iterations. */
  readonly cancel: Int32Array;
}

export interface LogisticResult {
  readonly model: LogisticModel;
  /** Probabilities of the test rows. */
  readonly predictions: Float64Array;
}

function train(job: LogisticJob, tell: (iteration: number) => void): LogisticResult {
  const { l2, maxIterations, columnNames } = job;
  const model = fitLogistic(job.values, job.columns, job.labels, {
    l2,
    maxIterations,
    columnNames,
    onIteration: (iteration) => {
      if (isCancelled(job.cancel)) throw new TrainingCancelled();
      tell(iteration);
    },
  });
  return { model, predictions: logisticProbabilities(model, job.test.values, job.test.rows) };
}

serveTraining(train);
