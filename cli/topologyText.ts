import type { GraphNode, TopologyGraph } from '../contracts/topologyGraph.js';

/**
 * A topology for people, stage by stage in the order in which records pass:
 *
 *   window.spend-per-terminal, generation 1
 *     split: sends events on by terminal
 *       reads   shop.transactions
 *       keeps   seen events
 *       writes  shop.window.spend-per-terminal.g1.hop.terminal (internal)
 */
export function textOf({ topology, generation, nodes, edges }: TopologyGraph): string {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const named = (ids: readonly string[], kinds: readonly GraphNode['kind'][]): string[] =>
    ids.flatMap((id) => {
      const node = byId.get(id);
      if (node === undefined || !kinds.includes(node.kind)) return [];
      return [node.kind === 'internal' ? `${node.name} (internal)` : node.name];
    });
  const lines = [`${topology}, generation ${generation}`];
  for (const stage of nodes.filter(({ kind }) => kind === 'stage')) {
    lines.push(`  ${stage.name}: ${stage.detail}`);
    const into = edges.filter(({ to }) => to === stage.id).map(({ from }) => from);
    const out = edges.filter(({ from }) => from === stage.id).map(({ to }) => to);
    for (const [what, names] of [
      ['reads', named(into, ['source', 'internal', 'output'])],
      ['keeps', named(out, ['state'])],
      ['uses', named(out, ['store'])],
      ['writes', named(out, ['source', 'internal', 'output'])],
    ] as const) {
      for (const [at, name] of names.entries()) lines.push(`    ${(at === 0 ? what : '').padEnd(7)} ${name}`);
    }
  }
  return lines.join('\n');
}

const SHAPES: Readonly<Record<GraphNode['kind'], string>> = {
  source: 'shape=cds',
  output: 'shape=cds',
  internal: 'shape=cds, style=dashed',
  stage: 'shape=box, style=rounded',
  state: 'shape=note',
  store: 'shape=cylinder',
};

/** A topology in the language of Graphviz. */
export function dotOf({ topology, nodes, edges }: TopologyGraph): string {
  const lines = [`digraph ${quoted(topology)} {`, '  rankdir=LR;'];
  for (const { id, kind, name, detail } of nodes)
    lines.push(`  ${quoted(id)} [label=${quoted(detail === '' ? name : `${name}\n${detail}`)}, ${SHAPES[kind]}];`);
  const held = new Set(nodes.filter(({ kind }) => kind === 'state').map(({ id }) => id));
  for (const { from, to } of edges)
    lines.push(`  ${quoted(from)} -> ${quoted(to)}${held.has(to) ? ' [dir=none, style=dotted]' : ''};`);
  return [...lines, '}'].join('\n');
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
