import type { LifecycleClient } from '../client/lifecycleClient.js';
import { TidemillError } from '../contracts/errors.js';
import type { TopologyIdentity } from '../contracts/topics.js';
import type { CompiledService } from '../features/compiledView.js';
import type { CompiledModel } from '../models/definition.js';
import type { Scorer } from '../scoring/scorer.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import type { OfflineStore } from '../stores/offline/offlineStore.js';
import type { RuntimeOptions } from '../streams/runtime/taskContext.js';
import type { Topology } from '../streams/runtime/topology.js';
import { archiveTopology } from '../streams/topologies/archive/archiveTopology.js';
import { materializeTopology } from '../streams/topologies/materialize/materializeTopology.js';
import { monitorTopology } from '../streams/topologies/monitor/monitorTopology.js';
import { outcomeTopology } from '../streams/topologies/outcome/outcomeTopology.js';
import { relayTopology } from '../streams/topologies/relay/relayTopology.js';
import { planScore } from '../streams/topologies/score/scorePlan.js';
import { scoreTopology } from '../streams/topologies/score/scoreTopology.js';

export const TOPOLOGY_NAMES = ['score', 'archive', 'outcome', 'monitor', 'relay', 'materialize'] as const;
export type TopologyName = (typeof TOPOLOGY_NAMES)[number];

/** What topologies are made of; each is opened when the first topology asks for it. */
export interface TopologyParts {
  readonly project: string;
  readonly model: CompiledModel;
  readonly partitions: number;
  readonly scorer: Scorer;
  readonly offline: () => Promise<OfflineStore>;
  readonly objects: ObjectStore;
  readonly online: () => OnlineStore;
  /** Told when the online store goes away or, with null, comes back. */
  readonly onOnlineProblem?: (view: string, problem: string | null) => void;
  readonly lifecycle: () => Promise<LifecycleClient>;
  readonly generation: (topology: string) => Promise<number>;
  /** What the versions in use read. */
  readonly services: () => Promise<readonly CompiledService[]>;
  /** Fields of the request whose hops may hold rows of an earlier plan. */
  readonly passing: (identity: TopologyIdentity) => Promise<readonly number[]>;
}

/** @throws TidemillError CONFIGURATION_INVALID for a name that there is not. */
export function topologyNames(text: string): TopologyName[] {
  return text.split(',').map((name) => {
    const known = TOPOLOGY_NAMES.find((each) => each === name);
    if (known !== undefined) return known;
    throw new TidemillError(
      'CONFIGURATION_INVALID',
      `there is no topology ${JSON.stringify(name)}; there are ${TOPOLOGY_NAMES.join(', ')}`,
      { name },
    );
  });
}

/** Name under which the registry counts the generations of a topology; `subject` is its model, or its view. */
export function generationKey(project: string, name: TopologyName, subject: string): string {
  return `${project}/${name}.${subject}`;
}

/** The topologies of a name: one, but for `materialize`, which has one for each view that the model reads. */
export async function createTopologies(name: TopologyName, parts: TopologyParts): Promise<Topology[]> {
  if (name !== 'materialize') return [await createTopology(name, parts)];
  const topologies: Topology[] = [];
  for (const input of parts.model.service.inputs) {
    if (input.kind !== 'view') continue;
    const { view } = input;
    const { project, partitions } = parts;
    const store = parts.online();
    const onProblem = (problem: string | null): void => parts.onOnlineProblem?.(view.name, problem);
    const common = { project, view, partitions, store, onProblem };
    const generation = await parts.generation(generationKey(project, name, view.name));
    const serving = await store.serving({ project, name: view.name, hash: view.hash });
    // While a generation is being rebuilt the one that serves is kept up, too.
    if (serving !== null && serving < generation)
      topologies.push(materializeTopology({ ...common, generation: serving }));
    topologies.push(materializeTopology({ ...common, generation }));
  }
  return topologies;
}

/** @throws TidemillError CONFIGURATION_INVALID for `materialize`, which is no single topology. */
export async function createTopology(name: TopologyName, parts: TopologyParts): Promise<Topology> {
  const { project, model, partitions } = parts;
  const generation = await parts.generation(generationKey(project, name, model.name));
  const common = { project, model, generation, partitions };
  switch (name) {
    case 'score': {
      const passing = await parts.passing({ project, name: `score.${model.name}`, generation });
      const plan = planScore(model, { services: await parts.services(), passing });
      return scoreTopology({ ...common, plan, scorer: parts.scorer });
    }
    case 'archive':
      return archiveTopology({
        ...common,
        services: await parts.services(),
        offline: await parts.offline(),
        objects: parts.objects,
      });
    case 'outcome':
      return outcomeTopology(common);
    case 'monitor':
      return monitorTopology(common);
    case 'relay': {
      const lifecycle = await parts.lifecycle();
      return relayTopology({
        project,
        generation,
        partitions,
        signal: ({ model: drifting, source, sequence, version, onset, detectedAt }) =>
          lifecycle.signalDrift(drifting, { source, sequence, version, onset, detectedAt }),
      });
    }
    case 'materialize':
      throw new TidemillError(
        'CONFIGURATION_INVALID',
        'materialize has a topology for each view, which is reset by itself: tidemill features rebuild VIEW',
        { name },
      );
  }
}

/** Settings that suit a topology: files are written in seconds, predictions in tenths of one. */
export function settingsOf(name: TopologyName): Pick<RuntimeOptions, 'commitIntervalMs'> {
  switch (name) {
    case 'archive':
      return { commitIntervalMs: 2_000 };
    case 'outcome':
    case 'monitor':
      return { commitIntervalMs: 250 };
    case 'materialize':
      // Changes of a key within this time are one write.
      return { commitIntervalMs: 1_000 };
    case 'score':
    case 'relay':
      return {};
  }
}
