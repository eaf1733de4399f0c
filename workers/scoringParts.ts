import type { TopologyIdentity } from '../contracts/topics.js';
import type { CompiledModel } from '../models/definition.js';
import { createScoringEngine } from '../scoring/engine.js';
import { serviceOfVersion, servicesOf, versionsInUse } from '../scoring/versionServices.js';
import type { Log } from '../stores/log/log.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { Registry } from '../stores/registry/registry.js';
import { versionLoader } from './modelVersions.js';
import { passingFields } from './scoreHost.js';
import type { TopologyParts } from './topologies.js';

/** What topologies need of a model's versions; nothing where no model was named. */
export function scoringParts(options: {
  readonly model: CompiledModel | null;
  readonly registry: Registry;
  readonly objects: ObjectStore;
  readonly log: Log;
}): Pick<TopologyParts, 'scorer' | 'services' | 'passing'> {
  const { model, log, ...stores } = options;
  if (model === null) return { scorer: null, services: () => Promise.resolve([]), passing: () => Promise.resolve([]) };
  const { registry, objects } = stores;
  return {
    scorer: createScoringEngine(model, versionLoader(model, registry, objects), (version) =>
      serviceOfVersion(stores, model, version),
    ),
    services: async () => (await servicesOf(stores, model, await versionsInUse(registry, model.name))).services,
    passing: (identity: TopologyIdentity) => passingFields(log, identity, model),
  };
}
