import { parseArgs } from 'node:util';
import { configurationFrom, type Configuration } from '../contracts/configuration.js';
import { isTidemillError } from '../contracts/errors.js';
import type { TopologyGraph } from '../contracts/topologyGraph.js';
import { modelOf, type Project } from '../models/project.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import { topologyGraph } from '../streams/runtime/topologyGraph.js';
import { answer } from './answer.js';
import { requireRegistry } from './inspectTopologies.js';
import { loadProject } from './loadProject.js';
import { createTopologies, TOPOLOGY_NAMES, topologyNames, type TopologyName } from './topologies.js';

/**
 * Prints what topologies consist of, one JSON array of TopologyGraph. Nothing is opened but the registry, for the
 * generations: where there is none yet, all are the first. Errors are one JSON object on standard error.
 *
 *   node dist/workers/streamDescribe.js --topologies score --model fraud
 */
async function main(): Promise<TopologyGraph[]> {
  const { values } = parseArgs({ options: { topologies: { type: 'string' }, model: { type: 'string' } } });
  const configuration = configurationFrom(process.env);
  const definitions = await loadProject(configuration.projectModule);
  const model = values.model === undefined ? null : modelOf(definitions, values.model);
  const names =
    values.topologies === undefined ? allNames(definitions, model !== null) : topologyNames(values.topologies);
  const generation = await generations(configuration);
  const parts = {
    project: configuration.project,
    definitions,
    model,
    // Tasks are described, not made: how many partitions there are, and what they would use, is not asked.
    partitions: async () => 1,
    scorer: model === null ? null : unopened('the scorer'),
    log: unopened('the log'),
    offline: async () => unopened('the offline store'),
    objects: unopened('the object store'),
    online: () => unopened<OnlineStore>('the online store', { serving: async () => null }),
    lifecycle: async () => unopened('Temporal'),
    generation,
    services: async () => [],
    passing: async () => [],
  } as Parameters<typeof createTopologies>[1];
  const graphs: TopologyGraph[] = [];
  for (const name of names)
    for (const topology of await createTopologies(name, parts)) graphs.push(topologyGraph(topology));
  return graphs;
}

function allNames({ windows }: Project, hasModel: boolean): TopologyName[] {
  return [...(hasModel ? TOPOLOGY_NAMES : []), ...windows.map(({ name }): TopologyName => `window.${name}`)];
}

/** Generations as the registry has them now. */
async function generations(configuration: Configuration): Promise<(topology: string) => Promise<number>> {
  try {
    await requireRegistry(configuration);
  } catch (error) {
    if (isTidemillError(error, 'CONFIGURATION_INVALID')) return async () => 1;
    throw error;
  }
  return async (topology) => {
    const registry = await openRegistry(configuration);
    try {
      return await registry.generation(topology);
    } finally {
      await registry.close();
    }
  };
}

/** Stands in for something that is not opened: any use of it is a mistake here. */
function unopened<T extends object>(what: string, answers: Partial<T> = {}): T {
  return new Proxy(answers as T, {
    get: (target, name) => {
      // Awaiting asks whether it is a promise.
      if (name === 'then' || name in target) return target[name as keyof T];
      throw new Error(`invariant broken: ${what} is asked for ${String(name)} by a description`);
    },
  });
}

await answer(main);
