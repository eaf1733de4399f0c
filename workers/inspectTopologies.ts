import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { LifecycleClient } from '../client/lifecycleClient.js';
import { configurationFrom, type Configuration } from '../contracts/configuration.js';
import { TidemillError } from '../contracts/errors.js';
import type { CompiledStream } from '../features/compiledView.js';
import { modelOf, streamsOf } from '../models/project.js';
import type { Scorer } from '../scoring/scorer.js';
import { openArchivedInput, type ArchivedInput } from '../stores/archive/archivedInput.js';
import type { Log } from '../stores/log/log.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../stores/offline/offlineStore.js';
import { openOnlineStore } from '../stores/online/openOnlineStore.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import type { Registry } from '../stores/registry/registry.js';
import type { Topology } from '../streams/runtime/topology.js';
import { loadProject } from './loadProject.js';
import { streamPartitions } from './streamPartitions.js';
import { scoringParts } from './scoringParts.js';
import { createTopologies, createTopology, generationKey, type TopologyName } from './topologies.js';
import { openLog } from './openLog.js';

/** Topologies as descriptions: none of them runs. */
export interface InspectedTopologies {
  readonly log: Log;
  readonly registry: Registry;
  /** Input that the log no longer holds. */
  readonly archive: ArchivedInput;
  /** Of the model; null where none was named. */
  readonly scorer: Scorer | null;
  readonly home: string;
  /** Name under which the registry counts the generations of a topology. */
  readonly key: (name: TopologyName) => string;
  /** All topologies of a name. */
  readonly topologies: (name: TopologyName) => Promise<Topology[]>;
  /** @param generation default: the one that the registry names. */
  readonly topology: (name: TopologyName, generation?: number) => Promise<Topology>;
}

/**
 * Opens what topologies are described by, for as long as `work` takes.
 *
 * @param modelName may be left out where only windows are looked at.
 * @param clientId name under which the broker sees this process.
 * @throws TidemillError CONFIGURATION_INVALID, PROJECT_NOT_FOUND, LOG_UNAVAILABLE, STREAM_NOT_FOUND
 */
export async function inspectTopologies<T>(
  modelName: string | undefined,
  clientId: string,
  work: (inspected: InspectedTopologies) => Promise<T>,
): Promise<T> {
  const configuration = configurationFrom(process.env);
  const { project, home } = configuration;
  const definitions = await loadProject(configuration.projectModule);
  const model = modelName === undefined ? null : modelOf(definitions, modelName);
  await requireRegistry(configuration);
  const closing: (() => Promise<void>)[] = [];
  try {
    const log = await openLog(configuration.kafkaBrokers, clientId);
    closing.push(() => log.close());
    const registry = await openRegistry(configuration);
    closing.push(() => registry.close());
    const objects = openDiskObjectStore(join(home, 'objects'));
    const scoring = scoringParts({ model, registry, objects, log });
    const { scorer } = scoring;
    if (scorer !== null) closing.push(() => scorer.close());
    let offline: Promise<OfflineStore> | null = null;
    const openOffline = async (): Promise<OfflineStore> => {
      const store = await openDuckdbStore({ threads: 1, memoryLimit: '512MB' });
      closing.push(() => store.close());
      return store;
    };
    const parts = {
      project,
      definitions,
      model,
      partitions: (stream: CompiledStream) => streamPartitions(log, project, stream),
      ...scoring,
      log,
      objects,
      offline: (): Promise<OfflineStore> => (offline ??= openOffline()),
      online: (): OnlineStore => {
        const store = openOnlineStore(configuration.online);
        closing.push(() => store.close());
        return store;
      },
      lifecycle: async (): Promise<LifecycleClient> => {
        const { temporalAddress: address, temporalNamespace: namespace } = configuration;
        const client = await LifecycleClient.connect({ address, namespace, project });
        closing.push(() => client.close());
        return client;
      },
    };
    return await work({
      log,
      registry,
      archive: openArchivedInput({ log, objects, offline: parts.offline, project, streams: streamsOf(definitions) }),
      scorer,
      home,
      key: (name) => generationKey(project, name, model?.name ?? ''),
      topologies: (name) =>
        createTopologies(name, { ...parts, generation: (topology) => registry.generation(topology) }),
      topology: (name, generation) =>
        createTopology(name, {
          ...parts,
          generation: async (key) => generation ?? (await registry.generation(key)),
        }),
    });
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/**
 * Looking makes no registry: where its file is missing, nothing has run.
 *
 * @throws TidemillError CONFIGURATION_INVALID
 */
export async function requireRegistry({ registry, home }: Pick<Configuration, 'registry' | 'home'>): Promise<void> {
  if (registry.kind !== 'sqlite') return;
  await access(registry.file).catch(() => {
    throw new TidemillError(
      'CONFIGURATION_INVALID',
      `${registry.file} is not there: nothing has run in TIDEMILL_HOME ${home} yet`,
      { home },
    );
  });
}
