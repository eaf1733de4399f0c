import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LifecycleClient } from '../client/lifecycleClient.js';
import { configurationFrom, type Configuration } from '../contracts/configuration.js';
import { isTidemillError, messageOf, TidemillError } from '../contracts/errors.js';
import type { TopologyProgress } from '../contracts/topologyProgress.js';
import { groupId, streamTopic } from '../contracts/topics.js';
import { modelOf } from '../models/project.js';
import { createScoringEngine } from '../scoring/engine.js';
import { openKafkaLog } from '../stores/log/kafkaLog.js';
import type { Log } from '../stores/log/log.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../stores/offline/offlineStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import type { Topology } from '../streams/runtime/topology.js';
import { loadProject } from './loadProject.js';
import { versionLoader } from './modelVersions.js';
import { createTopology, topologyNames } from './topologies.js';

/**
 * Prints how far topologies of a model have come, one JSON array of TopologyProgress; starts none of them. Errors are one
 * JSON object on standard error.
 *
 *   node dist/workers/streamStatus.js --topologies score --model fraud
 */
async function main(): Promise<TopologyProgress[]> {
  const { values } = parseArgs({
    options: { topologies: { type: 'string', default: 'score' }, model: { type: 'string' } },
  });
  if (values.model === undefined)
    throw new TidemillError('CONFIGURATION_INVALID', '--model is not given', { option: 'model' });
  const names = topologyNames(values.topologies);
  const configuration = configurationFrom(process.env);
  const { project, home } = configuration;
  const model = modelOf(await loadProject(configuration.projectModule), values.model);
  await requireRegistry(configuration);
  const closing: (() => Promise<void>)[] = [];
  try {
    const log = openKafkaLog({ brokers: configuration.kafkaBrokers, clientId: 'stream-status' });
    closing.push(() => log.close());
    const requests = streamTopic(project, model.request.name);
    const partitions = await log.partitionCount(requests);
    if (partitions === null)
      throw new TidemillError('STREAM_NOT_FOUND', `topic ${requests} does not exist`, { topic: requests });
    const registry = await openRegistry(configuration);
    closing.push(() => registry.close());
    const objects = openDiskObjectStore(join(home, 'objects'));
    const scorer = createScoringEngine(model, versionLoader(model, registry, objects));
    closing.push(() => scorer.close());
    const parts = {
      project,
      model,
      partitions,
      scorer,
      objects,
      offline: async (): Promise<OfflineStore> => {
        const store = await openDuckdbStore({ threads: 1, memoryLimit: '128MB' });
        closing.push(() => store.close());
        return store;
      },
      lifecycle: async (): Promise<LifecycleClient> => {
        const { temporalAddress: address, temporalNamespace: namespace } = configuration;
        const client = await LifecycleClient.connect({ address, namespace, project });
        closing.push(() => client.close());
        return client;
      },
      generation: (topology: string) => registry.generation(topology),
    };
    const rows: TopologyProgress[] = [];
    for (const name of names) rows.push(...(await progressOf(log, await createTopology(name, parts))));
    return rows;
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** Looking makes no registry: where its file is missing, nothing has run. */
async function requireRegistry({ registry, home }: Configuration): Promise<void> {
  if (registry.kind !== 'sqlite') return;
  await access(registry.file).catch(() => {
    throw new TidemillError(
      'CONFIGURATION_INVALID',
      `${registry.file} is not there: nothing has run in TIDEMILL_HOME ${home} yet`,
      { home },
    );
  });
}

async function progressOf(log: Log, { identity, sources }: Topology): Promise<TopologyProgress[]> {
  const group = groupId(identity);
  const rows: TopologyProgress[] = [];
  for (const { topic } of sources) {
    // A topic that the topology has yet to create has nothing to be behind of.
    if ((await log.partitionCount(topic)) === null) continue;
    const ends = await log.offsets(topic);
    const known = await log.committed(
      group,
      ends.map(({ partition }) => ({ topic, partition })),
    );
    for (const [at, { partition, high }] of ends.entries()) {
      const committed = known[at]?.offset ?? null;
      rows.push({
        topology: identity.name,
        generation: identity.generation,
        group,
        topic,
        partition,
        committed,
        end: high,
        lag: committed === null ? null : Math.max(0, high - committed),
      });
    }
  }
  return rows;
}

try {
  process.stdout.write(`${JSON.stringify(await main())}\n`);
} catch (error) {
  const object = isTidemillError(error) ? error.toJSON() : { code: 'INTERNAL', message: messageOf(error) };
  process.stderr.write(`${JSON.stringify({ error: object })}\n`);
  process.exitCode = isTidemillError(error) ? error.description.exit : 1;
}
