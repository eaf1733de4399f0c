import { describe, expect, test } from 'vitest';
import type { Scorer } from '../../../../scoring/scorer.js';
import type { FollowedDeployments } from '../../../../streams/deployments/followDeployments.js';
import type { RunningTopology } from '../../../../streams/runtime/runTopology.js';
import type { TaskStatus } from '../../../../streams/runtime/taskStatus.js';
import { TopologyCounters } from '../../../../streams/runtime/topologyCounters.js';
import { createLifecycleMonitoring } from '../../../../workers/monitoring/lifecycleMonitoring.js';
import { createStreamMonitoring, type StreamMonitoring } from '../../../../workers/monitoring/streamMonitoring.js';

const stop = (): Promise<void> => Promise.resolve();

function running(more: Partial<RunningTopology> = {}, task: Partial<TaskStatus> = {}): RunningTopology {
  const live: TaskStatus = {
    task: 'a-0',
    state: 'live',
    offsets: {},
    watermark: null,
    replayed: 0,
    waitingRows: 0,
    notes: [],
    restored: 1,
    inputs: [],
  };
  return {
    identity: { project: 'p', name: 'score.m', generation: 1 },
    counters: new TopologyCounters('p'),
    isAssigned: true,
    status: [{ ...live, ...task }],
    stop,
    ...more,
  };
}

function follower(more: Partial<FollowedDeployments> = {}): FollowedDeployments {
  return { headEpoch: 3, leaseRemainingMs: 9_000, stop, ...more };
}

function worker(changes: Partial<Pick<StreamMonitoring, 'running' | 'follower' | 'phase'>> = {}): StreamMonitoring {
  const scorer = {
    activeEpoch: 3,
    readyEpoch: 3,
    deployment: null,
    problem: 'version 4 is not there',
  } as unknown as Scorer;
  const monitoring = createStreamMonitoring({ project: 'p', model: 'm', instance: 'w' });
  return Object.assign(monitoring, {
    phase: 'running',
    running: () => [running()],
    scorer,
    follower: follower(),
    ...changes,
  });
}

describe('a stream worker', () => {
  test('is ready once every task is live, the head serves and the lease lasts', async () => {
    expect(worker().readiness()).toEqual({ ready: true, reasons: [] });
    expect(await worker().metrics.text()).toMatch(/^tidemill_worker_ready 1$/m);
  });

  test('is ready without tasks where the group has none for it, and without deployments where it scores nothing', () => {
    expect(worker({ running: () => [running({ status: [] })] }).readiness().ready).toBe(true);
    expect(worker({ follower: null }).readiness().ready).toBe(true);
  });

  test.each<[string, Parameters<typeof worker>[0], RegExp]>([
    ['starting', { phase: 'starting' }, /starting/],
    ['stopping', { phase: 'stopping' }, /stopping/],
    ['not-assigned', { running: () => [running({ isAssigned: false, status: [] })] }, /^score\.m: /],
    ['planning', { running: () => [] }, /^score\.m: is being planned/],
    [
      'task-recovering',
      { running: () => [running({}, { state: 'recovering', restored: 0.418 })] },
      /a-0: recovering, 41 %/,
    ],
    ['task-stopped', { running: () => [running(), running({}, { state: 'stopped' })] }, /a-0: stopped/],
    ['deployment-behind', { follower: follower({ headEpoch: 4 }) }, /epoch 3 serves, 4 is the head: version 4 is not/],
    ['lease-lost', { follower: follower({ leaseRemainingMs: 0 }) }, /^w: the lease/],
  ])('is not ready: %s', async (reason, changes, text) => {
    const monitoring = worker(changes);
    expect(monitoring.readiness()).toEqual({
      ready: false,
      reasons: [{ reason, text: expect.stringMatching(text) as string }],
    });
    expect(await monitoring.metrics.text()).toMatch(/^tidemill_worker_ready 0$/m);
  });
});

describe('a lifecycle worker', () => {
  test('is ready while it polls both queues and publishes', () => {
    const monitoring = createLifecycleMonitoring();
    expect(monitoring.readiness().reasons).toMatchObject([{ reason: 'starting' }]);
    monitoring.phase = 'running';
    monitoring.queues = () => [{ queue: 'q', isRunning: true }];
    expect(monitoring.readiness().ready).toBe(true);
    monitoring.queues = () => [{ queue: 'q', isRunning: false }];
    monitoring.upkeepProblem = 'no broker';
    expect(monitoring.readiness().reasons.map(({ reason }) => reason)).toEqual(['worker-stopped', 'upkeep-failing']);
  });
});
