import { isCancelled, serveTraining, TrainingCancelled } from './threadBody.js';
import { XgboostLibrary } from './xgboostLibrary.js';

/** What the training thread is given. Arrays are shared memory. */
export interface XgboostJob {
  readonly library: string;
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
  readonly labels: Float32Array;
  /** Rows to predict with the finished model. */
  readonly test: { readonly rows: number; readonly values: Float32Array } | null;
  readonly parameters: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly seed: number;
  readonly segmentRounds: number;
  /** Where an earlier attempt got to. */
  readonly resume: { readonly rounds: number; readonly model: Uint8Array } | null;
  /** Set to 1 to make the thread end between two rounds. */
  readonly cancel: Int32Array;
}

/** After each round how many there are; with a model at a boundary that can be resumed from. */
export interface XgboostNote {
  readonly rounds: number;
  readonly model: Uint8Array | null;
}

export interface XgboostThreadResult {
  readonly model: Uint8Array;
  readonly predictions: Float32Array | null;
}

/**
 * Trains in segments: at every boundary the booster is saved, thrown away and loaded again with seed = seed + rounds so
 * far, whether or not anything went wrong. So a crash and a resume at a boundary go through the very same steps, and end
 * in the same bytes.
 */
function train(job: XgboostJob, tell: (note: XgboostNote) => void): XgboostThreadResult {
  const library = new XgboostLibrary(job.library);
  const matrix = library.matrix(job.values, job.rows, job.columns, job.labels);
  const open = (model: Buffer | null, seed: number): unknown => {
    const booster = library.booster([matrix]);
    if (model !== null) library.load(booster, model);
    for (const [name, value] of Object.entries(job.parameters)) library.setParameter(booster, name, value);
    library.setParameter(booster, 'seed', String(seed));
    return booster;
  };
  let round = job.resume?.rounds ?? 0;
  let booster = open(job.resume === null ? null : Buffer.from(job.resume.model), job.seed + round);
  while (round < job.rounds) {
    if (isCancelled(job.cancel)) throw new TrainingCancelled();
    library.update(booster, round, matrix);
    round++;
    const isBoundary = round % job.segmentRounds === 0 && round < job.rounds;
    if (!isBoundary) {
      tell({ rounds: round, model: null });
      continue;
    }
    const model = library.save(booster);
    library.freeBooster(booster);
    tell({ rounds: round, model });
    booster = open(model, job.seed + round);
  }
  const model = library.save(booster);
  let predictions: Float32Array | null = null;
  if (job.test !== null) {
    const test = library.matrix(job.test.values, job.test.rows, job.columns, null);
    predictions = library.predict(booster, test);
    library.freeMatrix(test);
  }
  library.freeBooster(booster);
  library.freeMatrix(matrix);
  return { model, predictions };
}

serveTraining(train);
