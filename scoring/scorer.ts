import type { DeploymentRecord, ScoreRole } from '../contracts/records.js';
import type { Value } from '../features/types.js';

/** Scores vectors with the versions of one model's deployment. Implemented over onnxruntime-node in `engine.ts`. */
export interface Scorer {
  /** Deployment in force; null before the first one (everything falls back to the model's rules). */
  readonly deployment: DeploymentRecord | null;
  /** Epoch whose `prepare` version is loaded and warm. */
  readonly readyEpoch: number;
  readonly activeEpoch: number;
  readonly breaker: 'closed' | 'open';
  readonly problem: string | null;
  /**
   * Loads and warms what `next` names (champion, challenger, prepare) without serving it; resolves when all of it is
   * ready. The switch itself is `activate`, synchronous, at a record boundary. Lower epochs are ignored.
   */
  prepare(next: DeploymentRecord): Promise<void>;
  activate(next: DeploymentRecord): void;
  /**
   * @param requests the requests' own fields, for decisions and for the fallback.
   * @param vectors rows times columns, NaN for null, row-major; converted to float32 for the model.
   * @returns one score per row and which version and role gave it. A version that fails or answers NaN opens the
   * breaker; the rows are then scored by the previous version, else by the model's fallback rules. Where NaN is the
   * answer to rows with nulls alone, as of a linear model, the batch is scored in the same order, with the breaker closed.
   */
  score(vectors: Float64Array, rows: number, requests: readonly (readonly Value[])[]): Promise<ScoredBatch>;
  close(): Promise<void>;
}

export interface ScoredBatch {
  readonly scores: Float64Array;
  readonly version: number;
  readonly role: ScoreRole;
  readonly epoch: number;
  readonly decisions: readonly string[];
}
