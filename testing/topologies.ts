import type { DriftRecord } from '../contracts/records.js';
import { isTidemillError } from '../contracts/errors.js';
import type { CompiledModel } from '../models/definition.js';
import type { Project } from '../models/project.js';
import type { Scorer } from '../scoring/scorer.js';
import type { Log } from '../stores/log/log.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { OfflineStore } from '../stores/offline/offlineStore.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import type { Topology } from '../streams/runtime/topology.js';
import { archiveTopology } from '../streams/topologies/archive/archiveTopology.js';
import { materializeTopology } from '../streams/topologies/materialize/materializeTopology.js';
import { monitorTopology } from '../streams/topologies/monitor/monitorTopology.js';
import { outcomeTopology } from '../streams/topologies/outcome/outcomeTopology.js';
import { relayTopology } from '../streams/topologies/relay/relayTopology.js';
import { setsAside } from '../streams/topologies/windows/setsAside.js';
import { windowTopology } from '../streams/topologies/windows/windowTopology.js';
import { scoreTopology } from '../streams/topologies/score/scoreTopology.js';

/** Topologies of a project that a test can run. */
export type TestedTopology = 'score' | 'outcome' | 'monitor' | 'materialize' | 'archive' | 'relay' | 'windows';

/** What the topologies of a test are made of; stores are there where a topology needs them. */
export interface TestedParts {
  readonly project: Project;
  readonly partitions: number;
  readonly scorers: ReadonlyMap<string, Scorer>;
  readonly online: OnlineStore | null;
  readonly log: Log;
  readonly offline: OfflineStore | null;
  readonly objects: ObjectStore | null;
  readonly nowMs: () => number;
  /** What the relay would tell the lifecycle of a model. */
  readonly onSignal: (drift: DriftRecord) => void;
}

/** The topologies of these names: of each model, of each view for `materialize`, of each definition for `windows`, of the project for `relay`. */
export function testedTopologies(names: readonly TestedTopology[], parts: TestedParts): Topology[] {
  const { models } = parts.project;
  return [...new Set(names)].flatMap((name): Topology[] => {
    if (name === 'materialize') return materialized(parts);
    if (name === 'relay') return [relay(parts)];
    if (name === 'windows') return windowed(parts);
    return models.map((model) => ofModel(name, model, parts));
  });
}

function ofModel(
  name: 'score' | 'outcome' | 'monitor' | 'archive',
  model: CompiledModel,
  parts: TestedParts,
): Topology {
  const common = { project: parts.project.id, model, generation: 1, partitions: parts.partitions };
  switch (name) {
    case 'score':
      return scoreTopology({ ...common, scorer: parts.scorers.get(model.name) as Scorer });
    case 'outcome':
      return outcomeTopology(common);
    case 'monitor':
      return monitorTopology(common);
    case 'archive':
      return archiveTopology({
        ...common,
        log: parts.log,
        offline: parts.offline as OfflineStore,
        objects: parts.objects as ObjectStore,
      });
  }
}

/** Views whose stream is keyed otherwise have no online state. */
function materialized({ project, partitions, online, nowMs }: TestedParts): Topology[] {
  return project.views.flatMap((view) => {
    try {
      const common = { project: project.id, view, generation: 1, partitions, nowMs };
      return [materializeTopology({ ...common, store: online as OnlineStore })];
    } catch (error) {
      if (isTidemillError(error, 'TOPOLOGY_UNSUPPORTED')) return [];
      throw error;
    }
  });
}

function windowed({ project, partitions }: TestedParts): Topology[] {
  return project.windows.map((windows) => {
    const aside = setsAside(project, windows);
    return windowTopology({ project: project.id, windows, generation: 1, partitions, setsAside: aside });
  });
}

function relay({ project, partitions, onSignal }: TestedParts): Topology {
  const signal = async (drift: DriftRecord): Promise<void> => onSignal(drift);
  return relayTopology({ project: project.id, generation: 1, partitions, signal });
}
