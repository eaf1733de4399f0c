import type { LifecycleClient } from '../client/lifecycleClient.js';
import { TidemillError } from '../contracts/errors.js';
import type { TopologyIdentity } from '../contracts/topics.js';
import type { CompiledService, CompiledStream, CompiledView } from '../features/compiledView.js';
import { viewIdentity } from '../features/vectorLayout.js';
import type { CompiledModel } from '../models/definition.js';
import { windowsOf, type Project } from '../models/project.js';
import type { Scorer } from '../scoring/scorer.js';
import type { Log } from '../stores/log/log.js';
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
import { setsAside } from '../streams/topologies/windows/setsAside.js';
import { windowTopology } from '../streams/topologies/windows/windowTopology.js';

export const TOPOLOGY_NAMES = ['score', 'archive', 'outcome', 'monitor', 'relay', 'materialize'] as const;
/** Topologies of a model, or, with the name of the windows, one of the project's own. */
export type TopologyName = (typeof TOPOLOGY_NAMES)[number] | `window.${string}`;

/** What topologies are made of; each is opened when the first topology asks for it. */
export interface TopologyParts {
  readonly project: string;
  readonly definitions: Project;
  /** Null where none was named: windows need none. */
  readonly model: CompiledModel | null;
  /** Partitions of a stream's topic. @throws TidemillError STREAM_NOT_FOUND */
  readonly partitions: (stream: CompiledStream) => Promise<number>;
  /** Of the model; null where there is none. */
  readonly scorer: Scorer | null;
  readonly log: Log;
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

/** @throws TidemillError USAGE_INVALID for a name that there is not. */
export function topologyNames(text: string): TopologyName[] {
  return text.split(',').map((name) => {
    const known = TOPOLOGY_NAMES.find((each) => each === name);
    if (known !== undefined) return known;
    if (isWindowName(name)) return name;
    throw new TidemillError(
      'USAGE_INVALID',
      `there is no topology ${JSON.stringify(name)}; there are ${TOPOLOGY_NAMES.join(', ')}, and window.NAME`,
      { name },
    );
  });
}

function isWindowName(name: string): name is `window.${string}` {
  return name.startsWith('window.');
}

/**
 * Name under which the registry counts the generations of a topology.
 *
 * @param subject its model, or its view; not used for windows, whose name says all.
 */
export function generationKey(project: string, name: TopologyName, subject: string): string {
  return isWindowName(name) ? `${project}/${name}` : `${project}/${name}.${subject}`;
}

/** @throws TidemillError USAGE_INVALID where none was named. */
export function requireModel(model: CompiledModel | null): CompiledModel {
  if (model !== null) return model;
  throw new TidemillError('USAGE_INVALID', '--model is not given', { option: 'model' });
}

/** The topologies of a name: one, but for `materialize`, which has one for each view that a version in use reads. */
export async function createTopologies(name: TopologyName, parts: TopologyParts): Promise<Topology[]> {
  if (name !== 'materialize') return [await createTopology(name, parts)];
  const views = viewsOf([requireModel(parts.model).service, ...(await parts.services())]);
  return (await Promise.all(views.map((view) => materializeTopologies(view, parts)))).flat();
}

/** The views that services read, each once. */
export function viewsOf(services: readonly CompiledService[]): readonly CompiledView[] {
  const views = services.flatMap(({ inputs }) =>
    inputs.flatMap((input) => (input.kind === 'view' ? [input.view] : [])),
  );
  return [...new Map(views.map((view) => [view.hash, view])).values()];
}

/** Is the view what the model's definition reads now, not what a version was trained on before? */
export function isDefined(model: CompiledModel, view: CompiledView): boolean {
  return viewsOf([model.service]).some(({ hash }) => hash === view.hash);
}

/**
 * What writes a view to the online store: one topology, and while a generation is being rebuilt the one that serves, too. A
 * view as an earlier definition had it has a group of its own, beside that of the view that has its name now.
 */
export async function materializeTopologies(view: CompiledView, parts: TopologyParts): Promise<Topology[]> {
  const { project } = parts;
  const model = requireModel(parts.model);
  const partitions = await parts.partitions(model.request);
  const store = parts.online();
  const onProblem = (problem: string | null): void => parts.onOnlineProblem?.(view.name, problem);
  const name = isDefined(model, view) ? view.name : `${view.name}.${viewIdentity(view)}`;
  const common = { project, view, name, partitions, store, onProblem };
  const generation = await parts.generation(generationKey(project, 'materialize', view.name));
  const serving = await store.serving({ project, name: view.name, hash: view.hash });
  const newest = materializeTopology({ ...common, generation });
  if (serving === null || serving >= generation) return [newest];
  return [materializeTopology({ ...common, generation: serving }), newest];
}

/** @throws TidemillError CONFIGURATION_INVALID for `materialize`, which is no single topology. */
export async function createTopology(name: TopologyName, parts: TopologyParts): Promise<Topology> {
  const { project } = parts;
  if (isWindowName(name)) return createWindowTopology(name, parts);
  const model = requireModel(parts.model);
  const partitions = await parts.partitions(model.request);
  const generation = await parts.generation(generationKey(project, name, model.name));
  const common = { project, model, generation, partitions };
  switch (name) {
    case 'score': {
      const passing = await parts.passing({ project, name: `score.${model.name}`, generation });
      const plan = planScore(model, { services: await parts.services(), passing });
      return scoreTopology({ ...common, plan, scorer: parts.scorer as Scorer });
    }
    case 'archive':
      return archiveTopology({
        ...common,
        services: await parts.services(),
        log: parts.log,
        offline: await parts.offline(),
        objects: parts.objects,
      });
    case 'outcome':
      return outcomeTopology(common);
    case 'monitor':
      return monitorTopology({ ...common, services: await parts.services() });
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
        'USAGE_INVALID',
        'materialize has a topology for each view, which is reset by itself: tidemill features rebuild VIEW',
        { name },
      );
  }
}

async function createWindowTopology(name: `window.${string}`, parts: TopologyParts): Promise<Topology> {
  const { project, definitions } = parts;
  const windows = windowsOf(definitions, name.slice('window.'.length));
  const generation = await parts.generation(generationKey(project, name, windows.name));
  const partitions = await parts.partitions(windows.stream);
  return windowTopology({ project, windows, generation, partitions, setsAside: setsAside(definitions, windows) });
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
    default:
      return {};
  }
}
