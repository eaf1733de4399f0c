import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { jsonOf } from '../activities/audit/readTopic.js';
import type { PredictionRecord } from '../contracts/records.js';
import { predictionsTopic, streamTopic } from '../contracts/topics.js';
import { lifecycleId, lifecycleQueue, QUERY_STATUS, SIGNAL_DRIFT } from '../contracts/workflows.js';
import { Cluster, MODEL } from './chaos/rollout/cluster.js';

/**
 * How fast a rollout is, on real servers and four score workers:
 *
 *   - from the request of a retrain to its first training round
 *   - from the request of a rollback to all workers serving the version before: the goal is 2 s
 *   - the wait of a prediction, from the append of its request to its own, while versions switch: the goal is 1.5 times
 *     that of the time before
 *   - events in the history of a lifecycle, of whichever of its runs is the longest, after 10,000 signals: the goal is
 *     2,000
 *   - memory of a lifecycle worker with 200 idle lifecycles
 *
 * Signals come from as many senders as a topic has relays. More of them keep the server from the lifecycle's tasks: it
 * gives a signal that waits for the workflow precedence over everything else.
 *
 *   npm run bench -- rollout [--signals 10000 --lifecycles 200 --json]
 *
 * Absolute times are those of the machine: measure on one that does nothing else. Exit code 3 where a goal is missed.
 */
const SCORERS = ['score-1', 'score-2', 'score-3', 'score-4'];
const SENDERS = 4;
/** Workers that have just started are still catching up. */
const SETTLE_MS = 15_000;
/** Wall time of undisturbed predictions that a switch is compared with. */
const BEFORE_MS = 20_000;

const { values } = parseArgs({
  options: {
    signals: { type: 'string', default: '10000' },
    lifecycles: { type: 'string', default: '200' },
    json: { type: 'boolean', default: false },
  },
});
const started = performance.now();
const say = (text: string): void => {
  process.stderr.write(`${((performance.now() - started) / 1_000).toFixed(0).padStart(5)} s  ${text}\n`);
};

/** One number, what it says, and what it should be at most. */
interface Measure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: number | null;
}

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

/** From the log: the wait of the slowest hundredth of the requests of a stretch of wall time, ms, and how many they are. */
async function p99(cluster: Cluster, from: number, to: number): Promise<{ p99: number; requests: number }> {
  const sorted = await waits(cluster, from, to);
  return { p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0, requests: sorted.length };
}

/** A retrain with all its steps, while predictions flow; gives the version that it promoted. */
async function measureRetrain(cluster: Cluster): Promise<{ readonly version: number; readonly found: Measure[] }> {
  const { lifecycle, registry } = cluster;
  say('predictions, undisturbed');
  await sleep(SETTLE_MS + BEFORE_MS);
  say('a retrain');
  const asked = Date.now();
  const workflowId = await lifecycle.startRetrain({ model: MODEL, trigger: { kind: 'manual' } }, 'measured');
  const result = await lifecycle.retrainResult(workflowId);
  if (result.outcome !== 'promoted') throw new Error(`not promoted: ${JSON.stringify(result)}`);
  const journal = new Map((await registry.journal(MODEL, result.token)).map((entry) => [entry.step, entry]));
  const training = (journal.get('evaluationFit')?.startedAt ?? 0) - asked;
  const before = await p99(cluster, asked - BEFORE_MS, asked);
  // A second more: requests that were in flight.
  const until = (journal.get('commit')?.finishedAt ?? 0) + 1_000;
  const during = await p99(cluster, journal.get('prepare')?.startedAt ?? 0, until);
  return {
    version: result.version,
    found: [
      { name: 'from trigger to training', value: training, unit: 'ms', goal: null },
      { name: `p99 wait of ${before.requests} predictions before`, value: before.p99, unit: 'ms', goal: null },
      {
        name: `p99 wait of ${during.requests} predictions during the switch`,
        value: during.p99,
        unit: 'ms',
        goal: Math.round(before.p99 * 1.5),
      },
    ],
  };
}

async function measureRollback({ lifecycle, registry }: Cluster, from: number): Promise<Measure[]> {
  say('a rollback');
  const asked = performance.now();
  const rollback = await lifecycle.startRollback({ model: MODEL, reason: 'measured' }, 'measured');
  for (;;) {
    const head = await registry.deployment(MODEL);
    const live = await registry.liveInstances(MODEL);
    const isFollowed = live.length === SCORERS.length && live.every(({ activeEpoch }) => activeEpoch === head?.epoch);
    if (head?.champion !== from && isFollowed) break;
    await sleep(20);
  }
  const value = Math.round(performance.now() - asked);
  await lifecycle.rollbackResult(rollback);
  return [{ name: `rollback command to all ${SCORERS.length} workers`, value, unit: 'ms', goal: 2_000 }];
}

async function measureSignals({ lifecycle, configuration, traffic }: Cluster, signals: number): Promise<Measure[]> {
  say(`${signals} signals`);
  const handle = lifecycle.temporal.workflow.getHandle(lifecycleId(configuration.project, MODEL));
  const runs = new Set<string>();
  let longest = 0;
  const look = async (): Promise<number> => {
    const { runId, historyLength } = await handle.describe();
    runs.add(runId);
    longest = Math.max(longest, historyLength);
    return historyLength;
  };
  let sequence = 0;
  await Promise.all(
    Array.from({ length: SENDERS }, async () => {
      while (sequence < signals) {
        const next = ++sequence;
        const [onset, detectedAt] = [traffic.at + 1e12, traffic.at];
        await handle.signal(SIGNAL_DRIFT, { source: 'measured', sequence: next, version: 1, onset, detectedAt });
        if (next % 50 === 0) await look();
        if (next % 1_000 === 0) say(`  ${next} signals, ${runs.size} runs, the longest of ${longest} events`);
      }
    }),
  );
  const now = await look();
  return [
    { name: `history after ${signals} signals, current run`, value: now, unit: 'events', goal: 2_000 },
    { name: `history of the longest of ${runs.size} runs`, value: longest, unit: 'events', goal: 2_000 },
  ];
}

async function measureMemory(cluster: Cluster, lifecycles: number): Promise<Measure[]> {
  say(`${lifecycles} idle lifecycles`);
  const { lifecycle, configuration } = cluster;
  const before = await cluster.worker('lifecycle').memoryMb();
  for (let at = 0; at < lifecycles; at++) {
    await lifecycle.temporal.workflow.start('modelLifecycle', {
      workflowId: lifecycleId(configuration.project, `idle-${at}`),
      taskQueue: lifecycleQueue(configuration.project),
      args: [{ model: MODEL }],
    });
  }
  // Until the last one has come to rest: it answers.
  const last = lifecycle.temporal.workflow.getHandle(lifecycleId(configuration.project, `idle-${lifecycles - 1}`));
  await last.query(QUERY_STATUS);
  await sleep(5_000);
  const value = await cluster.worker('lifecycle').memoryMb();
  return [
    { name: 'memory of a lifecycle worker', value: before, unit: 'MB', goal: null },
    { name: `the same with ${lifecycles} idle lifecycles`, value, unit: 'MB', goal: null },
  ];
}

function textOf({ name, value, unit, goal }: Measure): string {
  const judged = goal === null ? '' : `  ${value <= goal ? 'within' : 'MISSES'} the goal of ${goal}`;
  return `${name.padEnd(56)} ${String(value).padStart(7)} ${unit}${judged}`;
}

const cluster = await Cluster.start(7, say, SCORERS);
const found: Measure[] = [];
try {
  const retrain = await measureRetrain(cluster);
  found.push(...retrain.found);
  found.push(...(await measureRollback(cluster, retrain.version)));
  found.push(...(await measureSignals(cluster, Number(values.signals))));
  found.push(...(await measureMemory(cluster, Number(values.lifecycles))));
} finally {
  if (values.json) process.stdout.write(`${JSON.stringify({ measures: found })}\n`);
  else for (const measure of found) process.stdout.write(`${textOf(measure)}\n`);
  await cluster.stop(false);
}
process.exit(found.some(({ value, goal }) => goal !== null && value > goal) ? 3 : 0);
