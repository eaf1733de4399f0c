import { hostname } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { LifecycleClient } from '../client/lifecycleClient.js';
import { configurationFrom } from '../contracts/configuration.js';
import { monitoringAddressFrom } from '../contracts/monitoring.js';
import { objectSnapshotsFrom } from '../contracts/objectSnapshots.js';
import { poisonLimitFrom } from '../contracts/poisonLimit.js';
import { isTidemillError, messageOf, TidemillError } from '../contracts/errors.js';
import { startWaitFrom } from '../contracts/startWait.js';
import { deploymentsTopic, streamTopic } from '../contracts/topics.js';
import type { CompiledStream } from '../features/compiledView.js';
import { modelOf, streamsOf } from '../models/project.js';
import { openArchivedInput } from '../stores/archive/archivedInput.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../stores/offline/offlineStore.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import { openOnlineStore } from '../stores/online/openOnlineStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import { followDeployments } from '../streams/deployments/followDeployments.js';
import { initialiseGroup } from '../streams/runtime/initialiseGroup.js';
import { runTopology, type RunningTopology } from '../streams/runtime/runTopology.js';
import { isFailedCommit } from '../streams/runtime/snapshotStore.js';
import type { RuntimeOptions } from '../streams/runtime/taskContext.js';
import { createReachServer } from './awaitServers.js';
import { failPointFrom } from './failPoint.js';
import { withFailPoints } from './failingOnlineStore.js';
import { loadProject } from './loadProject.js';
import { MaterializeHost } from './materializeHost.js';
import { measuredScorer } from './monitoring/measuredScorer.js';
import { openMonitoring } from './monitoring/monitoringServer.js';
import { createStreamMonitoring } from './monitoring/streamMonitoring.js';
import { openLog } from './openLog.js';
import { processingOf } from './processing.js';
import { ScoreHost } from './scoreHost.js';
import { scoringParts } from './scoringParts.js';
import { SnapshotChecker } from './snapshotChecker.js';
import { startSnapshotUpkeep } from './snapshotUpkeep.js';
import { streamPartitions } from './streamPartitions.js';
import { tellCaller } from './tellCaller.js';
import {
  createTopologies,
  generationKey,
  requireModel,
  settingsOf,
  topologyNames,
  type TopologyName,
} from './topologies.js';

/**
 * The stream worker: runs topologies until SIGTERM, which drains, commits, snapshots and leaves the group.
 *
 *   node dist/workers/stream.js --topologies score --model fraud --instance worker-1 --metrics-port 9464
 *   node dist/workers/stream.js --topologies score --model fraud --initialise end
 *   node dist/workers/stream.js --topologies window.spend-per-customer
 */
const SHUTDOWN_BUDGET_MS = 25_000;

const logger = pino({ name: 'stream' });

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      topologies: { type: 'string', default: 'score' },
      model: { type: 'string' },
      instance: { type: 'string', default: hostname() },
      initialise: { type: 'string' },
      processing: { type: 'string', default: 'exactly-once' },
      'metrics-port': { type: 'string' },
    },
  });
  const names = topologyNames(values.topologies);
  const configuration = configurationFrom(process.env);
  const { project: id, home } = configuration;
  const definitions = await loadProject(configuration.projectModule);
  const model = values.model === undefined ? null : modelOf(definitions, values.model);
  if (names.includes('score')) requireModel(model);
  const poisonLimit = poisonLimitFrom(process.env);
  const reach = failPointFrom(process.env);
  const objectSnapshots = objectSnapshotsFrom(process.env);
  const monitoring = createStreamMonitoring({ project: id, model: model?.name ?? null, instance: values.instance });
  const watched = values.initialise === undefined ? monitoringAddressFrom(process.env, values['metrics-port']) : null;
  // Open before anything is asked for: a worker that waits for its broker says that it is starting.
  const server = watched === null ? null : await openMonitoring(watched, monitoring);
  if (server !== null) logger.info({ address: server.address }, 'metrics and health');
  const log = await openLog(configuration.kafkaBrokers, values.instance, (level, text) =>
    logger[level]({ source: 'kafka' }, text),
  );

  const reachServer = createReachServer({
    waitMs: values.initialise === undefined ? startWaitFrom(process.env) : 0,
    onWaiting: (waiting) => logger.warn(waiting, 'waiting for a server'),
  });
  await reachServer('Kafka', () => log.partitionCount(deploymentsTopic(id)));
  const registry = await reachServer('registry', () => openRegistry(configuration));
  const objects = openDiskObjectStore(join(home, 'objects'));
  const scoring = scoringParts({ model, registry, objects, log });
  const scorer = scoring.scorer === null ? null : measuredScorer(scoring.scorer, monitoring.scored, monitoring.onBatch);
  monitoring.scorer = scorer;
  let offline: Promise<OfflineStore> | null = null;
  let lifecycle: Promise<LifecycleClient> | null = null;
  let online: OnlineStore | null = null;
  const parts = {
    project: id,
    definitions,
    model,
    partitions: (stream: CompiledStream) => streamPartitions(log, id, stream),
    ...scoring,
    scorer,
    log,
    objects,
    online: () => (online ??= withFailPoints(openOnlineStore(configuration.online), reach)),
    onOnlineProblem: (view: string, problem: string | null) => {
      if (problem === null) logger.info({ view }, 'the online store is back');
      else logger.warn({ view }, problem);
    },
    offline: () => (offline ??= openDuckdbStore({ threads: 1, memoryLimit: '512MB' })),
    lifecycle: () =>
      (lifecycle ??= LifecycleClient.connect({
        address: configuration.temporalAddress,
        namespace: configuration.temporalNamespace,
        project: id,
      })),
    generation: (topology: string) => registry.generation(topology),
  };
  if (names.includes('materialize')) {
    // Any question will do; a store that goes away later is written when it is back.
    await reachServer('online store', () => parts.online().serving({ project: id, name: '', hash: '' }));
  }
  const archive = openArchivedInput({
    log,
    objects,
    offline: parts.offline,
    project: id,
    streams: streamsOf(definitions),
  });
  const topologies = [];
  for (const name of names) {
    // What scores plans itself, and what materializes follows the versions in use.
    if ((name === 'score' || name === 'materialize') && values.initialise === undefined) continue;
    for (const topology of await createTopologies(name, parts)) topologies.push({ name, topology });
  }

  const closeStores = async (): Promise<void> => {
    await scorer?.close();
    await (await offline)?.close();
    await (await lifecycle)?.close();
    await online?.close();
    await registry.close();
    await log.close();
  };
  if (values.initialise !== undefined) {
    if (values.initialise !== 'start' && values.initialise !== 'end') {
      throw new TidemillError('USAGE_INVALID', `--initialise ${values.initialise} is neither start nor end`, {});
    }
    for (const { topology } of topologies) {
      const set = await initialiseGroup(log, topology, values.initialise);
      logger.info({ topology: topology.identity.name, set, at: values.initialise }, 'group initialised');
    }
    await closeStores();
    return;
  }

  const snapshots = new SnapshotChecker();
  const upkeep = startSnapshotUpkeep({
    ...{ project: id, log, registry, objects, definitions, online: parts.online },
    directory: join(home, 'streams'),
    onNote: (text) => logger.info(text),
  });
  const running: RunningTopology[] = [];
  let host: ScoreHost | null = null;
  let views: MaterializeHost | null = null;
  monitoring.running = () => [...running, ...(host?.topologies ?? []), ...(views?.topologies ?? [])];
  let follower: Awaited<ReturnType<typeof followDeployments>> | null = null;
  let stopping = false;
  const stop = async (code: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    monitoring.phase = 'stopping';
    // What does not drain in time is replayed by the next owner: nothing is lost, so leaving is safe.
    setTimeout(() => process.exit(code === 0 ? 1 : code), SHUTDOWN_BUDGET_MS).unref();
    await Promise.all(
      [...running, ...(host === null ? [] : [host]), ...(views === null ? [] : [views])].map((each) => each.stop()),
    );
    snapshots.close();
    await upkeep.stop();
    await follower?.stop();
    await closeStores();
    await server?.close();
    logger.info('stopped');
    process.exit(code);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(0));
  const fatal = (error: unknown): void => {
    void report(error);
    void stop(isTidemillError(error) ? error.description.exit : 1);
  };
  process.on('unhandledRejection', (error) => {
    // The task whose snapshot it was says so.
    if (!isFailedCommit(error)) fatal(error);
  });

  const runtimeOf = (name: TopologyName): RuntimeOptions => ({
    log,
    openSnapshots: snapshots.open,
    instance: values.instance,
    directory: join(home, 'streams'),
    ...settingsOf(name),
    processing: processingOf(values.processing, name),
    poisonLimit,
    archive,
    ...(objectSnapshots === null ? {} : { objectSnapshots: { objects, ...objectSnapshots } }),
    ...(server === null ? {} : { address: server.address }),
    onCommit: monitoring.onCommit,
    reach,
    onEvent: (event) => {
      if (event.kind === 'rebuild') logger.warn({ ...event, error: messageOf(event.error) }, event.kind);
      else logger.info(event, event.kind);
    },
    onFatal: fatal,
  });
  if (names.includes('score') && model !== null && scorer !== null) {
    const requestTopic = streamTopic(id, model.request.name);
    const scores = new ScoreHost({
      registry,
      objects,
      project: id,
      model,
      generation: await registry.generation(generationKey(id, 'score', model.name)),
      partitions: await parts.partitions(model.request),
      scorer,
      runtime: runtimeOf('score'),
      onNote: (text) => logger.info({ topology: `score.${model.name}` }, text),
    });
    host = scores;
    // The head of the deployment is applied before anything is consumed.
    follower = await followDeployments({
      log,
      registry,
      project: id,
      model: model.name,
      instance: values.instance,
      scorer,
      features: scores,
      onProblem: (text) => logger.error(text),
      onRenew: async () => {
        const watermarks = [...running, scores].flatMap(({ status }) =>
          status.flatMap(({ watermark }) => (watermark === null ? [] : [watermark])),
        );
        if (watermarks.length > 0) await registry.advanceWatermark(requestTopic, Math.min(...watermarks));
      },
    });
    monitoring.follower = follower;
    await scores.start();
  }
  for (const { name, topology } of topologies) running.push(await runTopology(topology, runtimeOf(name)));
  if (names.includes('materialize')) {
    views = new MaterializeHost({
      registry,
      objects,
      parts,
      runtime: runtimeOf('materialize'),
      onNote: (text) => logger.info(text),
    });
    await views.start();
  }
  if (!stopping) monitoring.phase = 'running';
  logger.info(
    {
      topologies: [
        ...(host === null || model === null ? [] : [`score.${model.name}`]),
        ...[...topologies.map(({ topology }) => topology), ...(views?.topologies ?? [])].map(
          ({ identity }) => identity.name,
        ),
      ],
      instance: values.instance,
    },
    'running',
  );
}

async function report(error: unknown): Promise<void> {
  if (isTidemillError(error))
    logger.error({ code: error.code, details: error.details }, `${error.message}. ${error.action}`);
  else logger.error({ err: error }, messageOf(error));
  await tellCaller(error);
}

try {
  await main();
} catch (error) {
  await report(error);
  process.exit(isTidemillError(error) ? error.description.exit : 1);
}
