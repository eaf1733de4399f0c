import type { Readiness, ReadinessReason } from '../../contracts/monitoring.js';
import { createMetrics } from './metrics.js';
import type { Monitored } from './monitoringServer.js';

/** A lifecycle worker as those who watch it see it. */
export interface LifecycleMonitoring extends Monitored {
  phase: 'starting' | 'running' | 'stopping';
  /** Whether each task queue is being polled. */
  queues: () => readonly { readonly queue: string; readonly isRunning: boolean }[];
  published: number;
  upkeepFailures: number;
  /** What the last round of upkeep failed with; null where it went well. */
  upkeepProblem: string | null;
}

export function createLifecycleMonitoring(): LifecycleMonitoring {
  const readiness = (): Readiness => {
    const reasons: ReadinessReason[] = [];
    const { phase, upkeepProblem } = monitoring;
    if (phase !== 'running') reasons.push({ reason: phase, text: `the worker is ${phase}` });
    for (const { queue, isRunning } of monitoring.queues()) {
      if (!isRunning) reasons.push({ reason: 'worker-stopped', text: `nobody polls ${queue}` });
    }
    if (upkeepProblem !== null) {
      reasons.push({ reason: 'upkeep-failing', text: `deployments are not published: ${upkeepProblem}` });
    }
    return { ready: reasons.length === 0, reasons };
  };
  const monitoring: LifecycleMonitoring = {
    metrics: createMetrics((set) => {
      for (const { queue, isRunning } of monitoring.queues())
        set('tidemill_temporal_worker_running', { queue }, isRunning ? 1 : 0);
      set('tidemill_deployments_published_total', {}, monitoring.published);
      set('tidemill_upkeep_failures_total', {}, monitoring.upkeepFailures);
      set('tidemill_worker_ready', {}, readiness().ready ? 1 : 0);
    }),
    phase: 'starting',
    queues: () => [],
    published: 0,
    upkeepFailures: 0,
    upkeepProblem: null,
    readiness,
    status: () => ({ queues: monitoring.queues() }),
  };
  return monitoring;
}
