import { hostname } from 'node:os';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as TemporalWorker from '@temporalio/worker';
import { pino } from 'pino';
import {
  createApprovalActivities,
  createApprovalVerifier,
  createBackfillActivities,
  createAuditActivities,
  createDeploymentActivities,
  createFeatureActivities,
  createGateActivities,
  createHealActivities,
  createLabelActivities,
  createPolicyActivities,
  createRecoveryActivities,
  createRolloutActivities,
  createTrainingActivities,
  createWatchActivities,
  type ActivityDependencies,
} from '../activities/index.js';
import { LifecycleClient } from '../client/lifecycleClient.js';
import { ensureSearchAttributes } from '../client/searchAttributes.js';
import { approvalIssuersFrom } from '../contracts/approvalIssuer.js';
import { configurationFrom } from '../contracts/configuration.js';
import { isTidemillError, messageOf } from '../contracts/errors.js';
import { monitoringAddressFrom } from '../contracts/monitoring.js';
import { startWaitFrom } from '../contracts/startWait.js';
import { deploymentsTopic } from '../contracts/topics.js';
import { findXgboostLibrary } from '../infra/xgboostLibrary.js';
import { modelOf, viewOf } from '../models/project.js';
import type { LogProducer } from '../stores/log/log.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../stores/offline/duckdbStore.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import { openOnlineStore } from '../stores/online/openOnlineStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import type { Registry } from '../stores/registry/registry.js';
import { createReachServer } from './awaitServers.js';
import { failPointFrom } from './failPoint.js';
import { createLifecycleWorkers } from './lifecycleWorkers.js';
import { loadProject } from './loadProject.js';
import { createLifecycleMonitoring, type LifecycleMonitoring } from './monitoring/lifecycleMonitoring.js';
import { openMonitoring } from './monitoring/monitoringServer.js';
import { openLog } from './openLog.js';
import { tellCaller } from './tellCaller.js';

/**
 * The lifecycle worker: runs workflows and activities of a project, publishes deployments, sweeps leases.
 *
 *   node dist/workers/lifecycle.js
 */
const PUBLISH_MS = 200;
const RECONCILE_MS = 10_000;
const VERSION = '0.1.0';

const logger = pino({ name: 'lifecycle' });
const { NativeConnection, Runtime } = createRequire(import.meta.url)('@temporalio/worker') as typeof TemporalWorker;

async function main(): Promise<void> {
  const configuration = configurationFrom(process.env);
  const { project: id, home } = configuration;
  const project = await loadProject(configuration.projectModule);
  Runtime.install({
    // Signals are handled here, so that stores are closed after the workers.
    shutdownSignals: [],
    logger: {
      log: () => undefined,
      trace: () => undefined,
      debug: () => undefined,
      info: () => undefined,
      warn: (message, meta) => logger.warn(meta ?? {}, message),
      error: (message, meta) => logger.error(meta ?? {}, message),
    },
  });
  const monitoring = createLifecycleMonitoring();
  const watched = monitoringAddressFrom(process.env);
  const server = watched === null ? null : await openMonitoring(watched, monitoring);
  if (server !== null) logger.info({ address: server.address }, 'metrics and health');
  const log = await openLog(configuration.kafkaBrokers, `lifecycle-${hostname()}`, (level, text) =>
    logger[level]({ source: 'kafka' }, text),
  );
  const reachServer = createReachServer({
    waitMs: startWaitFrom(process.env),
    onWaiting: (waiting) => logger.warn(waiting, 'waiting for a server'),
  });
  await reachServer('Kafka', () => log.partitionCount(deploymentsTopic(id)));
  await log.ensureTopics([{ topic: deploymentsTopic(id), partitions: 1, compacted: true }]);
  const registry = await reachServer('registry', () => openRegistry(configuration));
  const lifecycle = await reachServer('Temporal', () =>
    LifecycleClient.connect({
      address: configuration.temporalAddress,
      namespace: configuration.temporalNamespace,
      project: id,
    }),
  );
  await ensureSearchAttributes(lifecycle.temporal);
  const offline = await openDuckdbStore({ memoryLimit: '2GB' });
  let online: OnlineStore | null = null;
  const dependencies: ActivityDependencies = {
    project: id,
    modelOf: (name) => modelOf(project, name),
    viewOf: (name) => viewOf(project, name),
    log,
    registry,
    objects: openDiskObjectStore(join(home, 'objects')),
    offline,
    online: () => (online ??= openOnlineStore(configuration.online)),
    lifecycle,
    approvals: createApprovalVerifier(approvalIssuersFrom(process.env), { project: id }),
    xgboostLibrary: () => findXgboostLibrary((text) => logger.info(text)),
    codeVersion: VERSION,
    reach: failPointFrom(process.env),
  };

  const backfill = createBackfillActivities(dependencies);
  const connection = await NativeConnection.connect({ address: configuration.temporalAddress });
  const workers = await createLifecycleWorkers({
    connection,
    namespace: configuration.temporalNamespace,
    project: id,
    workflowBundle: { codePath: fileURLToPath(new URL('../workflow-bundle.js', import.meta.url)) },
    activities: {
      ...createRolloutActivities(dependencies),
      ...createDeploymentActivities(dependencies),
      ...createFeatureActivities(dependencies),
      ...backfill,
      ...createHealActivities(dependencies),
      ...createWatchActivities(dependencies),
      ...createApprovalActivities(dependencies),
      ...createRecoveryActivities(dependencies),
      ...createLabelActivities(dependencies),
      ...createPolicyActivities(dependencies),
      ...createAuditActivities(dependencies),
    },
    heavy: { ...createTrainingActivities(dependencies), ...createGateActivities(dependencies), ...backfill },
  });
  const producer = await log.producer();
  const upkeep = startUpkeep(
    registry,
    producer,
    id,
    project.models.map(({ name }) => name),
    monitoring,
  );

  let stopping = false;
  const shutdown = (): void => {
    if (stopping) return;
    stopping = true;
    monitoring.phase = 'stopping';
    for (const worker of workers) worker.shutdown();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, shutdown);
  monitoring.queues = () =>
    workers.map((worker) => ({ queue: worker.options.taskQueue, isRunning: worker.getState() === 'RUNNING' }));
  if (!stopping) monitoring.phase = 'running';
  logger.info({ project: id, models: project.models.map(({ name }) => name) }, 'running');
  await Promise.all(workers.map((worker) => worker.run()));
  await upkeep.stop();
  await producer.close();
  await lifecycle.close();
  await connection.close();
  await offline.close();
  await (online as OnlineStore | null)?.close();
  await registry.close();
  await log.close();
  await server?.close();
  logger.info('stopped');
}

/** Copies the outbox to the topic `deployments`, republishes heads, and sweeps expired leases. */
function startUpkeep(
  registry: Registry,
  producer: LogProducer,
  project: string,
  models: readonly string[],
  monitoring: LifecycleMonitoring,
): { stop(): Promise<void> } {
  const topic = deploymentsTopic(project);
  let stopped = false;
  let lastReconcile = 0;
  const publish = async (): Promise<void> => {
    const rows = await registry.pendingOutbox(100);
    if (rows.length > 0) {
      // Sent before it is marked: a crash between both repeats an epoch, which readers ignore.
      await producer.send(
        rows.map(({ model, deployment }) => ({ topic, partition: 0, key: model, value: JSON.stringify(deployment) })),
      );
      await registry.markPublished(rows.map(({ id }) => id));
      monitoring.published += rows.length;
    }
    if (performance.now() - lastReconcile < RECONCILE_MS) return;
    lastReconcile = performance.now();
    const heads = await Promise.all(models.map((model) => registry.deployment(model)));
    const records = heads.flatMap((head) =>
      head === null ? [] : [{ topic, partition: 0, key: head.model, value: JSON.stringify(head) }],
    );
    if (records.length > 0) await producer.send(records);
    await registry.sweepInstances();
  };
  const loop = (async () => {
    while (!stopped) {
      monitoring.upkeepProblem = await publish().then(
        () => null,
        (error: unknown) => {
          monitoring.upkeepFailures++;
          logger.error({ err: error }, `upkeep: ${messageOf(error)}`);
          return messageOf(error);
        },
      );
      await new Promise((resolve) => setTimeout(resolve, PUBLISH_MS));
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await loop;
    },
  };
}

try {
  await main();
  process.exit(0);
} catch (error) {
  if (isTidemillError(error))
    logger.error({ code: error.code, details: error.details }, `${error.message}. ${error.action}`);
  else logger.error({ err: error }, messageOf(error));
  await tellCaller(error);
  process.exit(isTidemillError(error) ? error.description.exit : 1);
}
