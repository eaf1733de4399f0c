import { describe, expect, test } from 'vitest';
import { dotOf, textOf } from '../../../cli/topologyText.js';
import type { TopologyGraph } from '../../../contracts/topologyGraph.js';
import { customerSpending, fraud, transactions } from '../../../examples/fraud/project.js';
import { count, windowed } from '../../../index.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import type { Log } from '../../../stores/log/log.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import type { OfflineStore } from '../../../stores/offline/offlineStore.js';
import type { OnlineStore } from '../../../stores/online/onlineStore.js';
import { topologyGraph } from '../../../streams/runtime/topologyGraph.js';
import type { Topology } from '../../../streams/runtime/topology.js';
import { archiveTopology } from '../../../streams/topologies/archive/archiveTopology.js';
import { materializeTopology } from '../../../streams/topologies/materialize/materializeTopology.js';
import { monitorTopology } from '../../../streams/topologies/monitor/monitorTopology.js';
import { outcomeTopology } from '../../../streams/topologies/outcome/outcomeTopology.js';
import { relayTopology } from '../../../streams/topologies/relay/relayTopology.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { windowTopology } from '../../../streams/topologies/windows/windowTopology.js';

const common = { project: 'shop', generation: 3, partitions: 2 };
const model = fraud.compiled;
const byTerminal = windowed('spend', transactions)
  .by('terminal')
  .tumbling('1m')
  .aggregate(() => ({ payments: count() }))
  .to('terminal-spend').compiled;
const nothing = {} as unknown as Log & OfflineStore & ObjectStore & OnlineStore;
const topologies: readonly Topology[] = [
  scoreTopology({ ...common, model, scorer: createFallbackScorer(model) }),
  archiveTopology({ ...common, model, log: nothing, offline: nothing, objects: nothing }),
  outcomeTopology({ ...common, model }),
  monitorTopology({ ...common, model }),
  relayTopology({ ...common, signal: () => Promise.resolve() }),
  materializeTopology({ ...common, view: customerSpending.compiled, store: nothing }),
  windowTopology({ ...common, windows: byTerminal, setsAside: true }),
];

const topicsOf = ({ nodes }: TopologyGraph, kinds: readonly string[]): string[] =>
  nodes.flatMap(({ kind, name }) => (kinds.includes(kind) ? [name] : [])).sort();

describe.each(topologies.map((topology) => [topology.identity.name, topology] as const))('%s', (_, topology) => {
  const graph = topologyGraph(topology);

  test('describes every topic that it reads or writes, and no other but the dead letters', () => {
    const declared = new Set([
      ...topology.sources.map(({ topic }) => topic),
      ...topology.outputs.map(({ topic }) => topic),
      'shop.dead-letters',
    ]);
    expect(topicsOf(graph, ['source', 'internal', 'output'])).toEqual([...declared].sort());
  });

  test('has stages that its tasks belong to', () => {
    const stages = topology.stages.map(({ name }) => name);
    for (const { topic } of topology.sources) {
      const reading = topology.stages.find(({ reads }) => reads.includes(topic))?.name;
      const task = topology.taskOf({ topic, partition: 1 });
      expect(stages).toContain(reading);
      expect([reading, `${reading}-1`]).toContain(task);
    }
  });

  test('has no edge that ends nowhere', () => {
    const ids = new Set(graph.nodes.map(({ id }) => id));
    for (const { from, to } of graph.edges) expect([ids.has(from), ids.has(to)]).toEqual([true, true]);
    expect(graph.edges.length).toBeGreaterThan(1);
  });
});

describe('a description', () => {
  const graph = topologyGraph(topologies.at(-1) as Topology);

  test('is a text for people', () => {
    expect(textOf(graph)).toBe(
      `window.spend, generation 3
  split: sends events on by terminal
    reads   shop.transactions
    keeps   seen events
    writes  shop.window.spend.g3.hop.terminal (internal)
            shop.late
            shop.duplicates
            shop.dead-letters
  collect: computes tumbling windows of 1m, told on close, by terminal
    reads   shop.window.spend.g3.hop.terminal (internal)
    keeps   windows
    writes  shop.terminal-spend
            shop.late
            shop.dead-letters`,
    );
  });

  test('is a graph for Graphviz', () => {
    const dot = dotOf(graph);
    expect(dot).toMatch(/^digraph "window\.spend" \{\n/);
    expect(dot).toContain('"topic:shop.transactions" -> "stage:split";');
    expect(dot).toContain('"stage:split" -> "topic:shop.window.spend.g3.hop.terminal";');
    expect(dot).toContain('"stage:split" -> "state:split/seen events" [dir=none, style=dotted];');
    expect(dot.endsWith('\n}')).toBe(true);
  });
});
