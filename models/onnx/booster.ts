import { TidemillError } from '../../contracts/errors.js';

/** An XGBoost model as its library saves it in JSON: what the export needs of it. */
export interface Booster {
  readonly columns: number;
  /** Margin before any tree: log-odds of the base score. */
  readonly baseMargin: number;
  readonly trees: readonly Tree[];
}

/** Nodes in columns; node 0 is the root; a node without children is a leaf. */
export interface Tree {
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly column: readonly number[];
  /** Threshold of a split (x < threshold goes left, in float32), value of a leaf. */
  readonly value: readonly number[];
  /** Where a missing value goes. */
  readonly missingLeft: readonly boolean[];
}

interface SavedModel {
  learner?: {
    learner_model_param?: { base_score?: string; num_feature?: string };
    objective?: { name?: string };
    gradient_booster?: { model?: { trees?: SavedTree[] } };
  };
}

interface SavedTree {
  left_children: number[];
  right_children: number[];
  split_indices: number[];
  split_conditions: number[];
  default_left: number[];
  split_type?: number[];
}

/**
 * Reads a saved booster of objective `binary:logistic`.
 *
 * @throws TidemillError MODEL_INVALID for anything else.
 */
export function parseBooster(json: string): Booster {
  let saved: SavedModel;
  try {
    saved = JSON.parse(json) as SavedModel;
  } catch (error) {
    throw invalid('it is not JSON', error);
  }
  const { learner } = saved;
  const trees = learner?.gradient_booster?.model?.trees;
  if (learner === undefined || trees === undefined) throw invalid('it has no trees');
  const objective = learner.objective?.name;
  if (objective !== 'binary:logistic') throw invalid(`its objective is ${String(objective)}, not binary:logistic`);
  // Older libraries write 5E-1, newer ones [8.893516E-3].
  const base = Number((learner.learner_model_param?.base_score ?? '').replace(/^\[|\]$/g, ''));
  if (!(base > 0 && base < 1)) throw invalid(`its base score is ${String(learner.learner_model_param?.base_score)}`);
  return {
    columns: Number(learner.learner_model_param?.num_feature),
    baseMargin: Math.log(base / (1 - base)),
    trees: trees.map((tree): Tree => {
      if (tree.split_type?.some((type) => type !== 0) === true) throw invalid('it splits on categories');
      return {
        left: tree.left_children,
        right: tree.right_children,
        column: tree.split_indices,
        value: tree.split_conditions,
        missingLeft: tree.default_left.map((each) => each === 1),
      };
    }),
  };
}

function invalid(problem: string, cause?: unknown): TidemillError {
  return new TidemillError(
    'MODEL_INVALID',
    `the saved XGBoost model cannot be read: ${problem}`,
    { problem },
    { cause },
  );
}
