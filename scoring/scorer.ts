import type { DeploymentRecord, PredictionRecord } from '../contracts/records.js';
import type { CompiledService } from '../features/compiledView.js';
import type { Value } from '../features/types.js';
import type { VectorLayout } from '../features/vectorLayout.js';

/** Scores vectors with the versions of one model's deployment. Implemented over onnxruntime-node in `engine.ts`. */
export interface Scorer {
  /** Deployment in force; null before the first one (everything falls back to the model's rules). */
  readonly deployment: DeploymentRecord | null;
  /** Epoch of which everything is loaded and warm: champion, challenger, and what it only prepares. */
  readonly readyEpoch: number;
  readonly activeEpoch: number;
  /** Open while the champion is not to be had. A challenger out of order leaves it closed. */
  readonly breaker: 'closed' | 'open';
  readonly problem: string | null;
  /**
   * Loads and warms what `next` names (champion, challenger, prepare) without serving it; resolves when all of it is
   * ready. The switch itself is `activate`, synchronous, at a record boundary. Lower epochs are ignored.
   *
   * Where something cannot be loaded, `problem` says so, the epoch is neither ready nor active, and the deployment in
   * force serves on. Where none is in force, the champion of `next` serves as far as it alone is loaded: a challenger
   * must not cost a restarted instance its model.
   */
  prepare(next: DeploymentRecord): Promise<void>;
  activate(next: DeploymentRecord): void;
  /**
   * Scores rows as the deployment in force at the call says:
   *
   *   single   the champion serves
   *   shadow   the champion serves; the challenger scores every row, too
   *   canary   either serves the rows of its arm (see split.ts); both score every row
   *
   * A version that fails, or answers something that is no probability, is broken and asked no more; where it answers NaN
   * to a row with a null, as a linear model does, only that row has no score. In place of a challenger without a score
   * the champion serves; in place of a champion the deployment's stand-in; then the model's fallback rules.
   *
   * Every version reads its own columns; one whose columns are not there has no score, and says so.
   *
   * @param vectors rows times columns, NaN for null, row-major; converted to float32 for the model.
   * @param requests the requests' own fields, for decisions and for the fallback.
   * @param units what each row is split by; see splitUnit.
   * @param given what the columns are. @default those of the model's own service, all of them there
   */
  score(
    vectors: Float64Array,
    rows: number,
    requests: readonly (readonly Value[])[],
    units: readonly string[],
    given?: GivenColumns,
  ): Promise<readonly ScoredRow[]>;
  /** The service that a version reads; null for the rules, and for a version that was never loaded. */
  serviceOf(version: number): CompiledService | null;
  close(): Promise<void>;
}

/** What the columns of a batch are. */
export interface GivenColumns {
  readonly layout: VectorLayout;
  /** By row, the inputs of the layout whose columns are not there; null where all rows have all. */
  readonly absent: readonly (readonly number[] | null)[] | null;
}

/** What scoring knows about one prediction. */
export type ScoredRow = Pick<
  PredictionRecord,
  'version' | 'role' | 'epoch' | 'score' | 'decision' | 'arm' | 'micros' | 'others'
>;
