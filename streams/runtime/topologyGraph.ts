import type { GraphEdge, GraphNode, TopologyGraph } from '../../contracts/topologyGraph.js';
import { deadLetterTopic, topologyPrefix } from '../../contracts/topics.js';
import type { Topology } from './topology.js';

/** The graph of a topology, from what its stages say of themselves. */
export function topologyGraph({ identity, stages }: Pick<Topology, 'identity' | 'stages'>): TopologyGraph {
  const nodes = new Map<string, GraphNode>();
  const edges: GraphEdge[] = [];
  const written = new Set(stages.flatMap(({ writes }) => writes));
  const isInternal = (topic: string): boolean => topic.startsWith(`${topologyPrefix(identity)}.`);
  const topic = (name: string): string => {
    const kind = isInternal(name) ? 'internal' : written.has(name) ? 'output' : 'source';
    return node({ id: `topic:${name}`, kind, name, detail: '' });
  };
  const node = (added: GraphNode): string => {
    if (!nodes.has(added.id)) nodes.set(added.id, added);
    return added.id;
  };
  for (const stage of stages) {
    const id = `stage:${stage.name}`;
    for (const name of stage.reads) edges.push({ from: topic(name), to: id });
    node({ id, kind: 'stage', name: stage.name, detail: stage.does });
    for (const name of stage.keeps) {
      const state = node({ id: `state:${stage.name}/${name}`, kind: 'state', name, detail: '' });
      edges.push({ from: id, to: state });
    }
    for (const name of stage.uses ?? [])
      edges.push({ from: id, to: node({ id: `store:${name}`, kind: 'store', name, detail: '' }) });
    // The runtime sets aside whatever a stage cannot read or fold.
    for (const name of [...stage.writes, deadLetterTopic(identity.project)]) {
      if (name === deadLetterTopic(identity.project)) written.add(name);
      edges.push({ from: id, to: topic(name) });
    }
  }
  return { topology: identity.name, generation: identity.generation, nodes: [...nodes.values()], edges };
}
