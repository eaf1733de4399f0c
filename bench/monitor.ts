import type { OutcomeRecord, PredictionRecord } from '../contracts/records.js';
import { outcomesTopic, predictionsTopic } from '../contracts/topics.js';
import { fraud } from '../examples/fraud/project.js';
import { seededRandom } from '../models/statistics/random.js';
import type { LogRecord, OutgoingRecord } from '../stores/log/log.js';
import type { StreamTask } from '../streams/runtime/topology.js';
import { monitorTopology } from '../streams/topologies/monitor/monitorTopology.js';

/**
 * Cost of one prediction and one outcome in the tasks of the monitor, without a log between them: what may run in as many
 * processes as there are partitions, and what one task does for all of them. Snapshots are taken as often as by a worker at a
 * thousand outcomes a second.
 *
 * At ten requests a second, so that a partition closes 1,500 losses and 9,000 predictions at a time.
 *
 *   npm run bench -- monitor [--json]
 */
const PARTITIONS = 4;
const ROWS = 400_000;
const EVERY_MS = 100;
const SNAPSHOT_EVERY = 5_000;

const model = fraud.compiled;
const topology = monitorTopology({ project: 'bench', model, generation: 1, partitions: PARTITIONS });
const [predictions, outcomes] = [predictionsTopic('bench', model.name), outcomesTopic('bench', model.name)];

interface Cost {
  readonly stage: string;
  readonly records: number;
  /** CPU of this process. */
  readonly microsPerRecord: number;
}

function main(): void {
  const parts = Array.from({ length: PARTITIONS }, (_, at) => topology.createTask(`count-${at}`, []));
  const counted: OutgoingRecord[] = [];
  const costs: Cost[] = [];
  const [said, known] = [predicted(), labelled()];
  costs.push(measure('count: predictions', said, ({ partition }) => parts[partition] as StreamTask, counted));
  costs.push(measure('count: outcomes', known, ({ partition }) => parts[partition] as StreamTask, counted));
  for (const stage of ['merge', 'detect']) {
    const task = topology.createTask(stage, []);
    const records = counted.flatMap(({ topic, value }, offset): LogRecord[] => {
      if (topology.taskOf({ topic, partition: 0 }) !== stage) return [];
      return [recordOf(topic, 0, offset, value ?? '')];
    });
    const { records: blocks, microsPerRecord } = measure(`${stage}: blocks`, records, () => task, []);
    costs.push({ stage: `${stage}: blocks`, records: blocks, microsPerRecord });
    costs.push({ stage: `${stage}: per outcome`, records: ROWS, microsPerRecord: (microsPerRecord * blocks) / ROWS });
  }
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify({ partitions: PARTITIONS, costs }));
    return;
  }
  for (const { stage, records, microsPerRecord } of costs)
    console.log(`${stage.padEnd(22)}${String(records).padStart(8)} ${microsPerRecord.toFixed(3).padStart(10)} µs each`);
}

/** Folds records in the tasks that they belong to, with what snapshots cost. */
function measure(
  stage: string,
  records: readonly LogRecord[],
  taskOf: (record: LogRecord) => StreamTask,
  outputs: OutgoingRecord[],
): Cost {
  const output = { emit: (record: OutgoingRecord) => void outputs.push(record), deadLetter: fail };
  const started = process.cpuUsage();
  const tasks = new Set<StreamTask>();
  let entries = 0;
  for (const [at, record] of records.entries()) {
    const task = taskOf(record);
    tasks.add(task);
    task.fold(task.parse(record), output, false);
    if (at % SNAPSHOT_EVERY === 0)
      for (const each of tasks) for (const { key } of each.snapshot()) entries += key.length;
  }
  const { user, system } = process.cpuUsage(started);
  if (entries === 0) throw new Error(`${stage}: nothing was kept`);
  return { stage, records: records.length, microsPerRecord: (user + system) / records.length };
}

function fail(record: LogRecord): void {
  throw new Error(`${record.topic} ${record.offset} was set aside`);
}

function predicted(): LogRecord[] {
  const random = seededRandom('bench/predictions');
  return Array.from({ length: ROWS }, (_, id) => {
    const at = id * EVERY_MS;
    const prediction: PredictionRecord = {
      id,
      at,
      model: model.name,
      version: 3,
      role: 'champion',
      epoch: 5,
      score: random.next() ** 4,
      decision: 'allow',
      arm: 'champion',
      micros: 120,
      others: [],
      service: model.service.hash,
      vector: model.service.columns.map(() => (random.next() < 0.05 ? null : random.next() * 100)),
      source: { topic: 'bench.transactions', partition: id % PARTITIONS, offset: id },
      cut: null,
      entity: id % 5_000,
    };
    return recordOf(predictions, id % PARTITIONS, id, JSON.stringify(prediction));
  });
}

function labelled(): LogRecord[] {
  const random = seededRandom('bench/outcomes');
  return Array.from({ length: ROWS }, (_, id) => {
    const at = id * EVERY_MS;
    const outcome: OutcomeRecord = {
      id,
      at,
      knownAt: at + model.label.delayMs,
      model: model.name,
      version: 3,
      role: 'champion',
      epoch: 5,
      score: random.next() ** 4,
      arm: 'champion',
      others: [],
      label: random.next() < 0.01 ? 1 : 0,
      entity: id % 5_000,
      revision: 0,
      source: 'natural',
    };
    return recordOf(outcomes, id % PARTITIONS, id, JSON.stringify(outcome));
  });
}

function recordOf(topic: string, partition: number, offset: number, value: Buffer | string): LogRecord {
  return { topic, partition, offset, timestamp: 0, key: null, value: Buffer.from(value), headers: {} };
}

main();
