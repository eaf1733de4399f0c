import type { Readiness, ReadinessReason, StreamWorkerStatus } from '../../contracts/monitoring.js';
import {
  deadLetterTopic,
  driftTopic,
  duplicatesTopic,
  groupId,
  lateTopic,
  outcomesTopic,
  predictionsTopic,
  reportsTopic,
} from '../../contracts/topics.js';
import type { Scorer } from '../../scoring/scorer.js';
import type { FollowedDeployments } from '../../streams/deployments/followDeployments.js';
import type { RunningTopology } from '../../streams/runtime/runTopology.js';
import type { RuntimeOptions } from '../../streams/runtime/taskContext.js';
import type { TaskState } from '../../streams/runtime/taskStatus.js';
import { createMetrics, type Metrics, type SetMetric } from './metrics.js';
import type { Monitored } from './monitoringServer.js';
import { scoredRows, type ScoredRows } from './measuredScorer.js';

const STATES: readonly TaskState[] = ['recovering', 'live', 'stopped'];

/** A stream worker as those who watch it see it. */
export interface StreamMonitoring extends Monitored {
  readonly metrics: Metrics;
  /** What runs now. */
  running: () => readonly RunningTopology[];
  /** Null where the worker scores nothing. */
  scorer: Scorer | null;
  follower: FollowedDeployments | null;
  phase: 'starting' | 'running' | 'stopping';
  readonly scored: ScoredRows;
  /** A micro-batch was scored in so many seconds. */
  readonly onBatch: (seconds: number) => void;
  readonly onCommit: NonNullable<RuntimeOptions['onCommit']>;
}

/** @param options.model null where the worker has topologies of no model. */
export function createStreamMonitoring(options: {
  readonly project: string;
  readonly model: string | null;
  readonly instance: string;
}): StreamMonitoring {
  const { project, model, instance } = options;
  const outcomes = new Map([
    [duplicatesTopic(project), 'duplicate'],
    [lateTopic(project), 'late'],
    [deadLetterTopic(project), 'dead_letter'],
    [driftTopic(project), 'drift'],
  ]);
  if (model !== null) {
    outcomes.set(predictionsTopic(project, model), 'prediction');
    outcomes.set(outcomesTopic(project, model), 'outcome');
    outcomes.set(reportsTopic(project, model), 'report');
  }
  const readTopologies = (set: SetMetric): void => {
    const now = Date.now();
    for (const { identity, counters, status } of monitoring.running()) {
      const job = { job: identity.name, generation: String(identity.generation) };
      for (const [topic, count] of counters.committed) {
        const outcome = outcomes.get(topic);
        if (outcome !== undefined) set('tidemill_stream_records_total', { ...job, outcome }, count);
      }
      for (const [reason, count] of counters.deadLetters) set('tidemill_dlq_records_total', { ...job, reason }, count);
      set('tidemill_stream_folded_records_total', job, counters.folded);
      set('tidemill_stream_rebuilds_total', job, counters.rebuilds);
      set('tidemill_stream_early_rows_total', job, counters.early);
      set('tidemill_stream_snapshots_discarded_total', job, counters.snapshotsDiscarded);
      for (const { task, state, watermark, restored, waitingRows, inputs } of status) {
        for (const each of STATES)
          set('tidemill_stream_task_state', { ...job, task, state: each }, each === state ? 1 : 0);
        set('tidemill_stream_restore_progress_ratio', { ...job, task }, restored);
        set('tidemill_stream_waiting_rows', { ...job, task }, waitingRows);
        if (watermark !== null)
          set('tidemill_stream_watermark_lag_seconds', { ...job, task }, (now - watermark) / 1_000);
        for (const { topic, partition, committed, end, queueBytes, isPaused } of inputs) {
          const input = { ...job, topic, partition: String(partition) };
          if (committed !== null) set('tidemill_stream_lag_records', input, Math.max(0, end - committed));
          set('tidemill_stream_queue_bytes', input, queueBytes);
          set('tidemill_stream_paused', input, isPaused ? 1 : 0);
        }
      }
    }
  };
  const readModel = (set: SetMetric): void => {
    if (model === null) return;
    for (const { version, role, rows } of monitoring.scored.counts())
      set('tidemill_predict_requests_total', { model, version: String(version), role }, rows);
    const { follower, scorer } = monitoring;
    if (follower === null || scorer === null) return;
    for (const alias of ['champion', 'challenger'] as const) {
      const version = scorer.deployment?.[alias] ?? null;
      if (version !== null) set('tidemill_model_info', { model, version: String(version), alias }, 1);
    }
    set('tidemill_deployment_epoch', { model, stage: 'head' }, follower.headEpoch);
    set('tidemill_deployment_epoch', { model, stage: 'ready' }, scorer.readyEpoch);
    set('tidemill_deployment_epoch', { model, stage: 'active' }, scorer.activeEpoch);
    set('tidemill_lease_remaining_seconds', { model }, follower.leaseRemainingMs / 1_000);
  };
  const readiness = (): Readiness => {
    const reasons: ReadinessReason[] = [];
    const say = (reason: ReadinessReason['reason'], text: string): void => void reasons.push({ reason, text });
    const { phase, follower, scorer } = monitoring;
    const running = monitoring.running();
    if (phase === 'starting') say('starting', 'the worker is starting');
    if (phase === 'stopping') say('stopping', 'the worker is stopping');
    if (follower !== null && !running.some(({ identity }) => identity.name === `score.${model}`))
      say('planning', `score.${model}: is being planned for other versions`);
    for (const { identity, isAssigned, status } of running) {
      if (!isAssigned) say('not-assigned', `${identity.name}: the group has not assigned anything yet`);
      for (const { task, state, restored } of status) {
        if (state === 'recovering')
          say('task-recovering', `${identity.name} ${task}: recovering, ${Math.floor(restored * 100)} % replayed`);
        if (state === 'stopped') say('task-stopped', `${identity.name} ${task}: stopped`);
      }
    }
    const activeEpoch = scorer?.activeEpoch ?? 0;
    if (follower !== null && activeEpoch < follower.headEpoch) {
      const problem = scorer?.problem ?? null;
      say(
        'deployment-behind',
        `${model}: epoch ${activeEpoch} serves, ${follower.headEpoch} is the head${problem === null ? '' : `: ${problem}`}`,
      );
    }
    if (follower !== null && follower.leaseRemainingMs === 0)
      say('lease-lost', `${instance}: the lease was not renewed`);
    return { ready: reasons.length === 0, reasons };
  };
  const monitoring: StreamMonitoring = {
    metrics: createMetrics((set) => {
      readTopologies(set);
      readModel(set);
      set('tidemill_worker_ready', {}, readiness().ready ? 1 : 0);
    }),
    running: () => [],
    scorer: null,
    follower: null,
    phase: 'starting',
    scored: scoredRows(),
    onBatch: (seconds) => {
      if (model !== null) monitoring.metrics.observe('tidemill_predict_duration_seconds', { model }, seconds);
    },
    onCommit: ({ identity }, seconds) =>
      monitoring.metrics.observe(
        'tidemill_stream_commit_duration_seconds',
        { job: identity.name, generation: String(identity.generation) },
        seconds,
      ),
    readiness,
    status: (): StreamWorkerStatus => ({
      instance,
      topologies: monitoring.running().map(({ identity, status }) => ({ group: groupId(identity), tasks: status })),
    }),
  };
  return monitoring;
}
