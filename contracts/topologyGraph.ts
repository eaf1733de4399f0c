/** What a topology consists of, as it describes itself. */
export interface TopologyGraph {
  /** `score.fraud` */
  readonly topology: string;
  readonly generation: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

/**
 * - `source`: a topic that others fill; `internal`: one between stages; `output`: one that others read
 * - `stage`: tasks of one kind, one for each partition unless its detail says otherwise
 * - `state`: what a stage's tasks hold and recover from the log; `store`: what lies outside of the log
 */
export interface GraphNode {
  readonly id: string;
  readonly kind: 'source' | 'stage' | 'state' | 'store' | 'internal' | 'output';
  /** Name of the topic, the stage, the state or the store. */
  readonly name: string;
  /** What a stage does, in a few words; '' for the rest. */
  readonly detail: string;
}

/** Records or data flow from one node to another, by their ids; a stage and what it keeps both ways. */
export interface GraphEdge {
  readonly from: string;
  readonly to: string;
}
