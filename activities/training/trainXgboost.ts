import { hashOf } from '../../features/hash.js';
import type { TrainerSpec } from '../../models/definition.js';
import { runTrainingThread } from './trainingThread.js';
import type { XgboostJob, XgboostNote, XgboostThreadResult } from './xgboostThread.js';

export interface TrainingRows {
  readonly rows: number;
  readonly columns: number;
  /** Row-major; NaN for null. */
  readonly values: Float64Array;
  readonly labels: Float64Array;
}

export interface XgboostTraining {
  /** Path of XGBoost's shared library. */
  readonly library: string;
  readonly spec: Extract<TrainerSpec, { kind: 'xgboost' }>;
  readonly train: TrainingRows;
  /** Rows to predict with the finished model. */
  readonly test?: { readonly rows: number; readonly values: Float64Array };
  readonly resume?: { readonly rounds: number; readonly model: Uint8Array };
  readonly onProgress?: (rounds: number) => void;
  /** A boundary was reached: what to resume from after a crash. */
  readonly onSegment?: (rounds: number, model: Uint8Array) => void;
  readonly signal?: AbortSignal;
  /** @default 2 */
  readonly threads?: number;
}

export interface XgboostResult {
  /** The booster as XGBoost's JSON. */
  readonly model: Buffer;
  /** Probabilities of the test rows. */
  readonly predictions: Float32Array | null;
}

/** Where a training got to; carried by heartbeats, so that the next attempt resumes. */
export interface Checkpoint {
  readonly rounds: number;
  readonly uri: string;
  readonly sha256: string;
  /** What is being trained, on what: see checkpointIdentity. */
  readonly of: string;
}

/**
 * Names a training by the bytes of its data, the range of rows and the hyperparameters. Rounds of another training must
 * not be gone on with: they would end in a model that no data and parameters give.
 */
export function checkpointIdentity(training: {
  /** SHA-256 of the dataset's file. */
  readonly dataset: string;
  /** Event times of the rows learned from. */
  readonly range: readonly [from: number, to: number];
  readonly spec: TrainerSpec;
}): string {
  return hashOf([training.dataset, training.range, training.spec]);
}

/**
 * Trains XGBoost in a thread of its own, so that heartbeats go on.
 *
 * @throws TidemillError TRAINING_FAILED, TRAINING_CANCELLED
 */
export async function trainXgboost(training: XgboostTraining): Promise<XgboostResult> {
  const { spec, train, test, signal, onProgress, onSegment } = training;
  const job: Omit<XgboostJob, 'cancel'> = {
    library: training.library,
    rows: train.rows,
    columns: train.columns,
    values: sharedFloats(train.values),
    labels: sharedFloats(train.labels),
    test: test === undefined ? null : { rows: test.rows, values: sharedFloats(test.values) },
    parameters: {
      objective: 'binary:logistic',
      tree_method: spec.treeMethod,
      max_depth: String(spec.maxDepth),
      eta: String(spec.learningRate),
      nthread: String(training.threads ?? 2),
      verbosity: '0',
      ...(spec.baseScore === null ? {} : { base_score: String(spec.baseScore) }),
    },
    rounds: spec.rounds,
    seed: spec.seed,
    segmentRounds: spec.segmentRounds,
    resume: training.resume ?? null,
  };
  const { model, predictions } = await runTrainingThread<XgboostNote, XgboostThreadResult>(
    'xgboostThread.js',
    (cancel): XgboostJob => ({ ...job, cancel }),
    {
      ...(signal === undefined ? {} : { signal }),
      onNote: ({ rounds, model: segment }) => {
        onProgress?.(rounds);
        if (segment !== null) onSegment?.(rounds, segment);
      },
    },
  );
  return { model: Buffer.from(model), predictions };
}

function sharedFloats(values: Float64Array): Float32Array {
  const shared = new Float32Array(new SharedArrayBuffer(values.length * 4));
  shared.set(values);
  return shared;
}
