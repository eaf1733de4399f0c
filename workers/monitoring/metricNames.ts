/** One metric that a worker shows. The guide to operations has a table of these, which a test holds against this list. */
export interface MetricDescription {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

const JOB = ['job', 'generation'] as const;
const TASK = [...JOB, 'task'] as const;
const INPUT = [...JOB, 'topic', 'partition'] as const;

/** All of Tidemill's metrics; those of the process come from the client library under its usual names. */
export const METRICS = {
  tidemill_stream_records_total: {
    type: 'counter',
    labels: [...JOB, 'outcome'],
    help: 'Records of committed transactions by outcome: prediction, duplicate, late, dead_letter, outcome, drift, report.',
  },
  tidemill_stream_folded_records_total: {
    type: 'counter',
    labels: JOB,
    help: 'Input records folded live; those of transactions that failed are folded, and counted, again.',
  },
  tidemill_dlq_records_total: {
    type: 'counter',
    labels: [...JOB, 'reason'],
    help: 'Committed dead letters by error code.',
  },
  tidemill_stream_lag_records: {
    type: 'gauge',
    labels: INPUT,
    help: 'Offsets between the committed one and the end of the partition as last read.',
  },
  tidemill_stream_watermark_lag_seconds: {
    type: 'gauge',
    labels: TASK,
    help: "How far the task's watermark, which is event time, is behind this machine's clock.",
  },
  tidemill_stream_commit_duration_seconds: {
    type: 'histogram',
    labels: JOB,
    help: 'Time of a transaction from its beginning to its commit.',
  },
  tidemill_stream_task_state: {
    type: 'gauge',
    labels: [...TASK, 'state'],
    help: '1 for the state that an assigned task is in: recovering, live or stopped.',
  },
  tidemill_stream_restore_progress_ratio: {
    type: 'gauge',
    labels: TASK,
    help: 'Share of the silent replay that is done; 1 once the task is live.',
  },
  tidemill_stream_queue_bytes: {
    type: 'gauge',
    labels: INPUT,
    help: 'About what was read and waits in memory to be folded.',
  },
  tidemill_stream_paused: {
    type: 'gauge',
    labels: INPUT,
    help: '1 while reading is paused because the queue is full.',
  },
  tidemill_stream_waiting_rows: {
    type: 'gauge',
    labels: TASK,
    help: 'Requests that are in the windows of an ordered model and wait until everything up to their time is there.',
  },
  tidemill_stream_early_rows_total: {
    type: 'counter',
    labels: JOB,
    help: 'Requests of an ordered model that were answered without waiting for everything: maxWait was over.',
  },
  tidemill_stream_rebuilds_total: {
    type: 'counter',
    labels: JOB,
    help: 'Recoveries of a task after a failure: fenced, or a commit whose outcome was unknown.',
  },
  tidemill_stream_snapshots_discarded_total: {
    type: 'counter',
    labels: JOB,
    help: 'Snapshots that could not be used, so that the state was rebuilt from the log.',
  },
  tidemill_predict_requests_total: {
    type: 'counter',
    labels: ['model', 'version', 'role'],
    help: 'Rows scored, by the version that served them; rows of transactions that failed are scored, and counted, again.',
  },
  tidemill_predict_duration_seconds: {
    type: 'histogram',
    labels: ['model'],
    help: 'Time to score one micro-batch with all versions of the deployment.',
  },
  tidemill_model_info: {
    type: 'gauge',
    labels: ['model', 'version', 'alias'],
    help: '1 for the versions of the deployment in force: champion, challenger.',
  },
  tidemill_deployment_epoch: {
    type: 'gauge',
    labels: ['model', 'stage'],
    help: 'Epoch of the newest deployment (head), of the newest that is loaded (ready) and of the one that serves (active).',
  },
  tidemill_lease_remaining_seconds: {
    type: 'gauge',
    labels: ['model'],
    help: "Time that the instance's lease still lasts; 0 where it was lost.",
  },
  tidemill_temporal_worker_running: {
    type: 'gauge',
    labels: ['queue'],
    help: '1 while the lifecycle worker polls the task queue.',
  },
  tidemill_deployments_published_total: {
    type: 'counter',
    labels: [],
    help: 'Deployments copied from the registry to their topic.',
  },
  tidemill_upkeep_failures_total: {
    type: 'counter',
    labels: [],
    help: 'Failed attempts of the lifecycle worker to publish deployments and to sweep leases.',
  },
  tidemill_worker_ready: {
    type: 'gauge',
    labels: [],
    help: '1 where /health/ready says yes.',
  },
} as const satisfies Record<string, MetricDescription>;

export type MetricName = keyof typeof METRICS;
/** The labels of a metric, each with its value. */
export type LabelsOf<Name extends MetricName> = Readonly<Record<(typeof METRICS)[Name]['labels'][number], string>>;
