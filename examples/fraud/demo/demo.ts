import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LifecycleClient } from '../../../client/lifecycleClient.js';
import type { Configuration } from '../../../contracts/configuration.js';
import { DAY_MS } from '../../../contracts/duration.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { onlineStoreIn } from '../../../contracts/onlineAddress.js';
import { registryIn } from '../../../contracts/registryAddress.js';
import { outcomesTopic, predictionsTopic, streamTopic } from '../../../contracts/topics.js';
import { answers, freePort } from '../../../infra/ports.js';
import { DEFAULT_PORTS, up } from '../../../infra/runtime.js';
import { openKafkaLog } from '../../../stores/log/kafkaLog.js';
import { openRegistry } from '../../../stores/registry/openRegistry.js';
import { mergedEvents } from '../generator/events.js';
import { generateFraud, GENERATOR_START } from '../generator/generateFraud.js';
import { fraud } from '../project.js';
import { rollOutBadCandidate, type BadCandidate } from './badCandidate.js';
import { clean } from './clean.js';
import { take, until } from './days.js';
import { handbookDays } from './handbookDays.js';
import { sendLive } from './liveSender.js';
import { countRecords, drained } from './recordCounter.js';
import { decided, follow, watchLifecycle } from './watchLifecycle.js';
import { LABEL_DELAY_MS } from '../handbook.js';
import { loadHistory } from './loadHistory.js';
import { lookAround } from './lookAround.js';
import { judged, prove, type DemoResult } from './prove.js';
import { dayOf, Timeline } from './timeline.js';
import { WorkerProcess } from './workerProcess.js';

/**
 * The whole platform in one run: history, a first version, live scoring on real Kafka, a new fraud pattern, drift, a case,
 * waiting for labels, retraining, gates, shadow, canary, promotion, probation, a killed worker; and the proof, from the topics themselves, that
 * nothing was lost or doubled and that every served vector is the one a recomputation gives.
 *
 *   npm run demo [-- --seed 1 --json FILE]      npm run demo:clean
 *   npm run demo -- --bad                       then a candidate that is good offline and fails in its canary is taken back
 *   npm run demo -- --data DIR                  the handbook's transactions instead: no new pattern, so only the proof counts
 */
const HOME = resolve('.tidemill');
const PARTITIONS = 4;
const HISTORY_DAYS = 65;
const LIVE_DAYS = 36;
/** Days that there are for the bad candidate. */
const BAD_DAYS = 12;
const DRIFT_DAY = HISTORY_DAYS + 3;
const KILL_DAY = HISTORY_DAYS + 6;
/** Events per second: in general, and while a version is being trained. */
const FULL_PACE = 12_000;
const SLOW_PACE = 1_200;
/** Requests sent and not answered, and labels sent and not joined, that the sender allows itself. */
const MAX_LAG = 20_000;
const MAX_LABEL_LAG = 8_000;

interface DemoOptions {
  readonly seed: number;
  readonly data: string | null;
  readonly bad: boolean;
}

async function demo({ seed, data, bad }: DemoOptions, timeline: Timeline): Promise<DemoResult> {
  const model = fraud.compiled;
  const project = `demo-${Date.now().toString(36)}`;
  const home = join(HOME, 'demo', project);
  const free = async (port: number): Promise<number> => ((await answers(port)) ? freePort() : port);
  timeline.say('starting Kafka, Temporal and Redis');
  const [kafka, temporal] = await up({
    home: HOME,
    kafkaPort: await free(DEFAULT_PORTS.kafka),
    temporalPort: await free(DEFAULT_PORTS.temporal),
    temporalUiPort: await free(DEFAULT_PORTS.temporalUi),
    redisPort: await free(DEFAULT_PORTS.redis),
    progress: (service, text) => timeline.say(`${service}: ${text}`),
  });
  if (kafka === undefined || temporal === undefined || kafka.state === 'stopped' || temporal.state === 'stopped')
    throw new Error('invariant broken: not up');
  const configuration: Configuration = {
    project,
    projectModule: fileURLToPath(new URL('../project.js', import.meta.url)),
    kafkaBrokers: [kafka.address],
    temporalAddress: temporal.address,
    temporalNamespace: 'default',
    home,
    registry: registryIn(home),
    online: onlineStoreIn(home),
  };
  const log = openKafkaLog({ brokers: configuration.kafkaBrokers, clientId: 'demo' });
  const lifecycle = await LifecycleClient.connect({ address: temporal.address, namespace: 'default', project });
  const workers: WorkerProcess[] = [];
  const start = async (
    name: string,
    module: string,
    args: readonly string[],
    settings = configuration,
  ): Promise<WorkerProcess> => {
    const worker = await WorkerProcess.start(name, module, args, settings, join(home, 'logs', `${name}.log`));
    workers.push(worker);
    return worker;
  };
  const startScoring = (name: string): Promise<WorkerProcess> =>
    start(name, 'workers/stream.js', ['--topologies', 'score', '--model', model.name, '--instance', name]);
  try {
    // 1 history
    await log.ensureTopics(
      [model.request.name, model.label.stream.name].map((name) => ({
        topic: streamTopic(project, name),
        partitions: PARTITIONS,
      })),
    );
    const producer = await log.producer();
    const total = HISTORY_DAYS + LIVE_DAYS + (bad ? BAD_DAYS : 0);
    const days = mergedEvents(
      data === null ? generateFraud({ seed, days: total, driftDay: DRIFT_DAY }) : await handbookDays(data, total),
    );
    const loaded = await loadHistory(producer, project, take(days, HISTORY_DAYS), (day, records) =>
      timeline.progress(`loading history: day ${day + 1} of ${HISTORY_DAYS}, ${records} records`),
    );
    timeline.say(`history: ${HISTORY_DAYS} days, ${loaded} records in Kafka`);

    // 2 the first version
    await (
      await start('initialise', 'workers/stream.js', [
        '--topologies',
        'score,outcome',
        '--model',
        model.name,
        '--initialise',
        'end',
      ])
    ).end();
    const liveFrom = new Map(
      (await log.offsets(streamTopic(project, model.request.name))).map(({ partition, high }) => [partition, high]),
    );
    const lifecycleWorker = await start('lifecycle', 'workers/lifecycle.js', []);
    await start('archive', 'workers/stream.js', [
      '--topologies',
      'archive',
      '--model',
      model.name,
      '--instance',
      'archive',
    ]);
    await start('monitor', 'workers/stream.js', [
      '--topologies',
      'outcome,monitor,relay',
      '--model',
      model.name,
      '--instance',
      'monitor',
    ]);
    const first = await lifecycle.startRetrain(
      { model: model.name, trigger: { kind: 'first' }, allowNoInstances: true },
      'first',
    );
    await follow(lifecycle, first, timeline, workers);
    const firstResult = await lifecycle.retrainResult(first);
    if (firstResult.outcome !== 'promoted')
      throw new Error(`version 1 was not promoted: ${JSON.stringify(firstResult)}`);
    timeline.say(`version ${firstResult.version} promoted`);

    // 3 live
    let [one, two] = [await startScoring('score-1'), await startScoring('score-2')];
    timeline.say('two stream workers started at the end of the history');
    const registry = await openRegistry(configuration);
    while ((await registry.liveInstances(model.name)).length < 2) await sleep(200);

    let cpuSeconds = 0;
    let kills = 0;
    let recoverySeconds = 0;
    const watch = watchLifecycle(lifecycle, model.name, timeline);
    const answered = await countRecords(log, predictionsTopic(project, model.name));
    const joined = await countRecords(log, outcomesTopic(project, model.name));
    const startedLive = performance.now();
    const sending: Parameters<typeof sendLive>[3] = {
      seed,
      labelsFrom: GENERATOR_START + HISTORY_DAYS * DAY_MS + LABEL_DELAY_MS,
      pace: async ({ at, requests, labels }) => {
        for (const worker of workers) if (worker.name !== 'initialise') worker.requireRunning();
        timeline.progress(
          `live: ${dayOf(at)}, ${requests} requests sent, ${answered.count} answered${watch.isTraining ? ', training' : ''}`,
        );
        if (kills === 0 && at >= GENERATOR_START + KILL_DAY * DAY_MS) {
          kills++;
          cpuSeconds += await two.cpuSeconds();
          workers.splice(workers.indexOf(two), 1);
          await two.kill();
          const killedAt = performance.now();
          timeline.say(`${dayOf(at)}: worker score-2 killed with SIGKILL`);
          two = await startScoring('score-2');
          void answered.nextFromTasksOf(killedAt).then((seconds) => {
            recoverySeconds = seconds;
            timeline.say(`score-2 is back: first new prediction of its tasks ${seconds.toFixed(1)} s after the kill`);
          });
        }
        while (requests - answered.count > MAX_LAG || labels - joined.count > MAX_LABEL_LAG) await sleep(50);
        return watch.isTraining ? SLOW_PACE : FULL_PACE;
      },
    };
    let sent = await sendLive(producer, project, take(days, LIVE_DAYS), sending);
    timeline.say(
      `live: ${sent.requests} requests sent until ${dayOf(sent.at)} in ${((performance.now() - startedLive) / 1_000).toFixed(0)} s`,
    );

    // 4 until everything is answered and decided
    await drained(log, project, model);
    await decided(lifecycle, model.name, watch);

    // 5 a candidate that only the live stream shows to be bad
    let badCandidate: BadCandidate | null = null;
    if (bad) {
      workers.splice(workers.indexOf(lifecycleWorker), 1);
      await lifecycleWorker.stop();
      const projectModule = fileURLToPath(new URL('rescaledProject.js', import.meta.url));
      await start('lifecycle', 'workers/lifecycle.js', [], { ...configuration, projectModule });
      timeline.say('a candidate of few, deep trees that rank well, on a scale of their own');
      const rollout = rollOutBadCandidate({ lifecycle, registry, model: model.name, timeline });
      let isOver = false;
      void rollout.finally(() => (isOver = true)).catch(() => undefined);
      sent = await sendLive(
        producer,
        project,
        until(days, () => isOver),
        { ...sending, after: sent },
      );
      badCandidate = await rollout;
      await drained(log, project, model);
    }
    await producer.close();
    cpuSeconds += (await one.cpuSeconds()) + (await two.cpuSeconds());
    watch.stop();
    answered.stop();
    joined.stop();
    one = two;

    // 6 the proof
    for (const worker of [...workers].reverse()) await worker.stop();
    workers.length = 0;
    const proven = await prove({ configuration, log, registry, timeline, liveFrom, cpuSeconds, recoverySeconds });
    await registry.close();
    const ui = temporal.state === 'running' ? temporal.uiUrl : undefined;
    timeline.say(`Temporal UI: ${ui ?? temporal.address} (workflows of ${project})`);
    timeline.say(await lookAround(configuration, model.name));
    return {
      ...proven,
      kills,
      ...(badCandidate === null ? {} : { bad: badCandidate }),
      seconds: Math.round(timeline.seconds),
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await lifecycle.close();
    await log.close();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      seed: { type: 'string', default: '1' },
      data: { type: 'string' },
      bad: { type: 'boolean', default: false },
      clean: { type: 'boolean', default: false },
    },
  });
  if (values.clean) {
    await clean(HOME);
    return 0;
  }
  if (values.bad && values.data !== undefined) {
    console.error('--bad goes with the generated payments, not with --data');
    return 2;
  }
  const timeline = new Timeline();
  const options = { seed: Number(values.seed), data: values.data ?? null, bad: values.bad };
  const result = await demo(options, timeline);
  const { text, exitCode } = judged(result, values.data === undefined);
  timeline.say(`${text}; ${result.seconds} s`);
  if (values.json !== undefined) {
    await mkdir(dirname(resolve(values.json)), { recursive: true });
    await writeFile(values.json, `${JSON.stringify(result, null, 2)}\n`);
  }
  return exitCode;
}

try {
  // Readers of the log keep connections open: the end is the end.
  process.exit(await main());
} catch (error) {
  if (isTidemillError(error)) {
    console.error(`${error.code}: ${error.message}\n  ${error.action}`);
    process.exit(error.description.exit);
  }
  console.error(error);
  process.exit(1);
}
