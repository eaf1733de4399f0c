import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { jsonOf } from '../activities/audit/readTopic.js';
import type { PredictionRecord } from '../contracts/records.js';
import { predictionsTopic, streamTopic } from '../contracts/topics.js';
import { lifecycleId, lifecycleQueue, SIGNAL_DRIFT } from '../contracts/workflows.js';
import { Cluster, MODEL } from './chaos/rollout/cluster.js';

/**
 * How fast a rollout is, on real servers and four score workers:
 *
 *   - from the request of a retrain to its first training round
 *   - from the request of a rollback to all workers serving the version before
 *   - the wait of a prediction while versions switch, against the time before
 *   - events in the history of a lifecycle after 10,000 signals; memory of a worker with 200 idle lifecycles
 *
 *   npm run bench:rollout [-- --json]
 */
const SCORERS = ['score-1', 'score-2', 'score-3', 'score-4'];
const SIGNALS = 10_000;
const LIFECYCLES = 200;

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const started = performance.now();
const say = (text: string): void => {
  process.stderr.write(`${((performance.now() - started) / 1_000).toFixed(0).padStart(5)} s  ${text}\n`);
};

/** Waits of the predictions whose requests came in a stretch of wall time, ms, sorted. */
async function waits({ log, configuration }: Cluster, from: number, to: number): Promise<number[]> {
  const { project } = configuration;
  const requested = new Map<string, number>();
  const requests = streamTopic(project, 'orders');
  for (const { partition, low, high } of await log.offsets(requests)) {
    for await (const batch of log.read({ topic: requests, partition, from: low, to: high })) {
      for (const { offset, timestamp } of batch)
        if (timestamp >= from && timestamp <= to) requested.set(`${partition}/${offset}`, timestamp);
    }
  }
  const found: number[] = [];
  const topic = predictionsTopic(project, MODEL);
  for (const { partition, low, high } of await log.offsets(topic)) {
    for await (const batch of log.read({ topic, partition, from: low, to: high })) {
      for (const record of batch) {
        const { source } = jsonOf<PredictionRecord>(record);
        const at = requested.get(`${source.partition}/${source.offset}`);
        if (at !== undefined) found.push(record.timestamp - at);
      }
    }
  }
  return found.sort((a, b) => a - b);
}

function share(sorted: readonly number[], wanted: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * wanted))] ?? 0;
}

async function historyLength({ lifecycle, configuration }: Cluster): Promise<number> {
  const id = lifecycleId(configuration.project, MODEL);
  return (await lifecycle.temporal.workflow.getHandle(id).describe()).historyLength;
}

async function measure(cluster: Cluster): Promise<Record<string, number>> {
  const { lifecycle, registry, configuration } = cluster;
  await sleep(10_000);
  say('a retrain');
  const asked = Date.now();
  const workflowId = await lifecycle.startRetrain({ model: MODEL, trigger: { kind: 'manual' } }, 'measured');
  const result = await lifecycle.retrainResult(workflowId);
  if (result.outcome !== 'promoted') throw new Error(`not promoted: ${JSON.stringify(result)}`);
  const journal = new Map((await registry.journal(MODEL, result.token)).map((entry) => [entry.step, entry]));
  const training = (journal.get('evaluationFit')?.startedAt ?? 0) - asked;
  const switchFrom = journal.get('prepare')?.startedAt ?? 0;
  const switchTo = (journal.get('commit')?.finishedAt ?? 0) + 1_000;

  say('a rollback');
  const rolledAt = performance.now();
  const rollback = await lifecycle.startRollback({ model: MODEL, reason: 'measured' }, 'measured');
  for (;;) {
    const head = await registry.deployment(MODEL);
    const live = await registry.liveInstances(MODEL);
    if (head?.champion !== result.version && live.every(({ activeEpoch }) => activeEpoch === head?.epoch)) break;
    await sleep(20);
  }
  const rollbackMs = performance.now() - rolledAt;
  await lifecycle.rollbackResult(rollback);

  say('waits');
  const before = await waits(cluster, asked - 8_000, asked);
  const during = await waits(cluster, switchFrom, switchTo);

  say(`${SIGNALS} signals`);
  const handle = lifecycle.temporal.workflow.getHandle(lifecycleId(configuration.project, MODEL));
  let longest = 0;
  for (let sequence = 1; sequence <= SIGNALS; sequence += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        handle.signal(SIGNAL_DRIFT, {
          source: 'measured',
          sequence: sequence + at,
          version: 1,
          onset: cluster.traffic.at + 1e12,
          detectedAt: cluster.traffic.at,
        }),
      ),
    );
    if (sequence % 1_000 === 1) longest = Math.max(longest, await historyLength(cluster));
  }
  const events = await historyLength(cluster);

  say(`${LIFECYCLES} idle lifecycles`);
  const memoryBefore = await cluster.worker('lifecycle').memoryMb();
  for (let at = 0; at < LIFECYCLES; at += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, next) =>
        lifecycle.temporal.workflow.start('modelLifecycle', {
          workflowId: lifecycleId(configuration.project, `idle-${at + next}`),
          taskQueue: lifecycleQueue(configuration.project),
          args: [{ model: MODEL }],
        }),
      ),
    );
  }
  await sleep(5_000);
  return {
    triggerToTrainingMs: training,
    rollbackToAllWorkersMs: Math.round(rollbackMs),
    workers: SCORERS.length,
    waitP99BeforeMs: share(before, 0.99),
    waitP99DuringSwitchMs: share(during, 0.99),
    requestsDuringSwitch: during.length,
    signals: SIGNALS,
    historyEvents: events,
    longestHistorySeen: longest,
    workerMemoryMb: memoryBefore,
    workerMemoryWithIdleLifecyclesMb: await cluster.worker('lifecycle').memoryMb(),
    idleLifecycles: LIFECYCLES,
  };
}

const cluster = await Cluster.start(7, say, SCORERS);
try {
  const found = await measure(cluster);
  if (values.json) process.stdout.write(`${JSON.stringify(found)}\n`);
  else for (const [name, value] of Object.entries(found)) process.stdout.write(`${name.padEnd(34)} ${value}\n`);
} finally {
  await cluster.stop(false);
}
process.exit(0);
