import type { LogRecord, TopicPartition } from '../../stores/log/log.js';
import type { StreamTask, Topology } from '../../streams/runtime/topology.js';

/** The one partition that the topology reads. */
export const onlyPartition: TopicPartition = { topic: 'p.payments', partition: 0 };

const task: StreamTask = {
  stateIdentity: 'nothing/1',
  watermark: null,
  pendingRows: 0,
  parse: (record: LogRecord) => ({ record, time: record.timestamp, content: null }),
  fold: () => undefined,
  drain: () => Promise.resolve(),
  flush: () => undefined,
  committed: () => undefined,
  snapshot: () => [],
  restore: () => undefined,
};

/** One task that folds everything into nothing: for tests of the runtime around it. */
export const idleTopology: Topology = {
  identity: { project: 'p', name: 'idle', generation: 1 },
  sources: [{ topic: onlyPartition.topic, start: 'earliest' }],
  stages: [{ name: 'only', does: 'nothing', reads: [onlyPartition.topic], keeps: [], writes: [] }],
  outputs: [],
  taskOf: () => 'only',
  createTask: () => task,
};
