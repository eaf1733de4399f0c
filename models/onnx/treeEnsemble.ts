import type { Booster, Tree } from './booster.js';
import { encodeModel, INPUT_NAME, MARGIN_NAME, SCORE_NAME, type Node } from './graph.js';

/**
 * Boosted trees as ONNX: TreeEnsembleRegressor with post_transform NONE, then an explicit Sigmoid (ONNX Runtime ignores
 * LOGISTIC for ensembles with one target). Thresholds and inputs are float32, as they are in XGBoost.
 */
export function boosterToOnnx({ columns, baseMargin, trees }: Booster): Uint8Array {
  const nodes = {
    treeids: [] as number[],
    nodeids: [] as number[],
    featureids: [] as number[],
    values: [] as number[],
    modes: [] as string[],
    truenodeids: [] as number[],
    falsenodeids: [] as number[],
    missing_value_tracks_true: [] as number[],
  };
  const leaves = { treeids: [] as number[], nodeids: [] as number[], weights: [] as number[] };
  const addNode = (tree: Tree, treeId: number, node: number): void => {
    const isLeaf = tree.left[node] === -1;
    nodes.treeids.push(treeId);
    nodes.nodeids.push(node);
    nodes.featureids.push(isLeaf ? 0 : (tree.column[node] as number));
    nodes.values.push(isLeaf ? 0 : (tree.value[node] as number));
    nodes.modes.push(isLeaf ? 'LEAF' : 'BRANCH_LT');
    nodes.truenodeids.push(isLeaf ? 0 : (tree.left[node] as number));
    nodes.falsenodeids.push(isLeaf ? 0 : (tree.right[node] as number));
    nodes.missing_value_tracks_true.push(!isLeaf && tree.missingLeft[node] === true ? 1 : 0);
    if (!isLeaf) return;
    leaves.treeids.push(treeId);
    leaves.nodeids.push(node);
    leaves.weights.push(tree.value[node] as number);
  };
  for (const [treeId, tree] of trees.entries()) {
    for (let node = 0; node < tree.left.length; node++) addNode(tree, treeId, node);
  }
  const ints = (values: readonly number[]): { kind: 'ints'; values: readonly number[] } => ({ kind: 'ints', values });
  const ensemble: Node = {
    operator: 'TreeEnsembleRegressor',
    domain: 'ai.onnx.ml',
    inputs: [INPUT_NAME],
    outputs: [MARGIN_NAME],
    attributes: {
      nodes_treeids: ints(nodes.treeids),
      nodes_nodeids: ints(nodes.nodeids),
      nodes_featureids: ints(nodes.featureids),
      nodes_values: { kind: 'floats', values: nodes.values },
      nodes_modes: { kind: 'strings', values: nodes.modes },
      nodes_truenodeids: ints(nodes.truenodeids),
      nodes_falsenodeids: ints(nodes.falsenodeids),
      nodes_missing_value_tracks_true: ints(nodes.missing_value_tracks_true),
      target_treeids: ints(leaves.treeids),
      target_nodeids: ints(leaves.nodeids),
      target_ids: ints(leaves.treeids.map(() => 0)),
      target_weights: { kind: 'floats', values: leaves.weights },
      n_targets: { kind: 'int', value: 1 },
      base_values: { kind: 'floats', values: [baseMargin] },
      aggregate_function: { kind: 'string', value: 'SUM' },
      post_transform: { kind: 'string', value: 'NONE' },
    },
  };
  return encodeModel(
    columns,
    [ensemble, { operator: 'Sigmoid', domain: '', inputs: [MARGIN_NAME], outputs: [SCORE_NAME] }],
    [],
  );
}
