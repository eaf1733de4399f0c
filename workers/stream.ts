import { hostname } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { configurationFrom } from '../contracts/configuration.js';
import { isTidemillError, messageOf, TidemillError } from '../contracts/errors.js';
import { streamTopic } from '../contracts/topics.js';
import { modelOf } from '../models/project.js';
import { createFallbackScorer } from '../scoring/fallbackScorer.js';
import { openKafkaLog } from '../stores/log/kafkaLog.js';
import { initialiseGroup } from '../streams/runtime/initialiseGroup.js';
import { runTopology, type RunningTopology } from '../streams/runtime/runTopology.js';
import { scoreTopology } from '../streams/topologies/score/scoreTopology.js';
import type { Topology } from '../streams/runtime/topology.js';
import { failPointFrom } from './failPoint.js';
import { loadProject } from './loadProject.js';

/**
 * The stream worker: runs topologies of one model until SIGTERM, which drains, commits, snapshots and leaves the group.
 *
 *   node dist/workers/stream.js --topologies score --model fraud --instance worker-1
 *   node dist/workers/stream.js --topologies score --model fraud --initialise end
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
      generation: { type: 'string', default: '1' },
    },
  });
  if (values.model === undefined)
    throw new TidemillError('CONFIGURATION_INVALID', '--model is not given', { option: 'model' });
  const configuration = configurationFrom(process.env);
  const project = await loadProject(configuration.projectModule);
  const model = modelOf(project, values.model);
  const log = openKafkaLog({
    brokers: configuration.kafkaBrokers,
    clientId: values.instance,
    onClientLog: (level, text) => logger[level]({ source: 'kafka' }, text),
  });
  const scorer = createFallbackScorer(model);

  const topologies: Topology[] = [];
  for (const name of values.topologies.split(',')) {
    if (name !== 'score')
      throw new TidemillError('CONFIGURATION_INVALID', `there is no topology ${JSON.stringify(name)}`, { name });
    const partitions = await log.partitionCount(streamTopic(configuration.project, model.request.name));
    if (partitions === null) {
      const topic = streamTopic(configuration.project, model.request.name);
      throw new TidemillError('STREAM_NOT_FOUND', `topic ${topic} does not exist`, { topic });
    }
    const generation = Number(values.generation);
    topologies.push(scoreTopology({ project: configuration.project, model, generation, partitions, scorer }));
  }

  if (values.initialise !== undefined) {
    if (values.initialise !== 'start' && values.initialise !== 'end') {
      throw new TidemillError(
        'CONFIGURATION_INVALID',
        `--initialise ${values.initialise} is neither start nor end`,
        {},
      );
    }
    for (const topology of topologies) {
      const set = await initialiseGroup(log, topology, values.initialise);
      logger.info({ topology: topology.identity.name, set, at: values.initialise }, 'group initialised');
    }
    await log.close();
    return;
  }

  const running: RunningTopology[] = [];
  let stopping = false;
  const stop = async (code: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    // What does not drain in time is replayed by the next owner: nothing is lost, so leaving is safe.
    setTimeout(() => process.exit(code === 0 ? 1 : code), SHUTDOWN_BUDGET_MS).unref();
    await Promise.all(running.map((each) => each.stop()));
    await scorer.close();
    await log.close();
    logger.info('stopped');
    process.exit(code);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(0));
  const fatal = (error: unknown): void => {
    report(error);
    void stop(isTidemillError(error) ? error.description.exit : 1);
  };

  const reach = failPointFrom(process.env['TIDEMILL_FAIL_POINT']);
  for (const topology of topologies) {
    running.push(
      await runTopology(topology, {
        log,
        instance: values.instance,
        directory: join(configuration.home, 'streams'),
        reach,
        onEvent: (event) => {
          if (event.kind === 'rebuild') logger.warn({ ...event, error: messageOf(event.error) }, event.kind);
          else logger.info(event, event.kind);
        },
        onFatal: fatal,
      }),
    );
  }
  logger.info({ topologies: topologies.map(({ identity }) => identity.name), instance: values.instance }, 'running');
}

function report(error: unknown): void {
  if (isTidemillError(error))
    logger.error({ code: error.code, details: error.details }, `${error.message}. ${error.action}`);
  else logger.error({ err: error }, messageOf(error));
}

try {
  await main();
} catch (error) {
  report(error);
  process.exit(isTidemillError(error) ? error.description.exit : 1);
}
