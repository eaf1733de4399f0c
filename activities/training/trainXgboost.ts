import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { TidemillError } from '../../contracts/errors.js';
import type { TrainerSpec } from '../../models/definition.js';
import type { XgboostJob, XgboostMessage } from './xgboostThread.js';

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

/** How long a cancelled thread may take to end by itself. */
const CANCEL_GRACE_MS = 2_000;

/**
 * Trains XGBoost in a thread of its own, so that heartbeats go on.
 *
 * @throws TidemillError TRAINING_FAILED, TRAINING_CANCELLED
 */
export async function trainXgboost(training: XgboostTraining): Promise<XgboostResult> {
  const { spec, train, test } = training;
  const cancel = new Int32Array(new SharedArrayBuffer(4));
  const job: XgboostJob = {
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
    cancel,
  };
  const worker = new Worker(threadFile(), { workerData: job });
  let timer: NodeJS.Timeout | null = null;
  const onAbort = (): void => {
    Atomics.store(cancel, 0, 1);
    timer = setTimeout(() => void worker.terminate(), CANCEL_GRACE_MS);
  };
  if (training.signal?.aborted === true) onAbort();
  training.signal?.addEventListener('abort', onAbort);
  try {
    return await new Promise<XgboostResult>((resolve, reject) => {
      worker.on('message', (message: XgboostMessage) => {
        switch (message.kind) {
          case 'progress':
            training.onProgress?.(message.rounds);
            break;
          case 'segment':
            training.onSegment?.(message.rounds, message.model);
            break;
          case 'done':
            resolve({ model: Buffer.from(message.model), predictions: message.predictions });
            break;
          case 'cancelled':
            reject(new TidemillError('TRAINING_CANCELLED', 'the training was cancelled'));
            break;
          case 'failed':
            reject(new TidemillError('TRAINING_FAILED', message.message, { code: message.code }));
            break;
        }
      });
      worker.once('error', reject);
      worker.once('exit', (code) => {
        if (training.signal?.aborted === true)
          reject(new TidemillError('TRAINING_CANCELLED', 'the training was cancelled'));
        else reject(new TidemillError('TRAINING_FAILED', `the training thread ended with ${code}`, { code }));
      });
    });
  } finally {
    training.signal?.removeEventListener('abort', onAbort);
    if (timer !== null) clearTimeout(timer);
    await worker.terminate();
  }
}

function sharedFloats(values: Float64Array): Float32Array {
  const shared = new Float32Array(new SharedArrayBuffer(values.length * 4));
  shared.set(values);
  return shared;
}

/** The compiled thread; when this file runs uncompiled, as in tests, it is the one of the build. */
function threadFile(): string {
  const here = fileURLToPath(new URL('./xgboostThread.js', import.meta.url));
  return import.meta.url.endsWith('.ts')
    ? here.replace(/activities([\\/])training/, 'dist$1activities$1training')
    : here;
}
