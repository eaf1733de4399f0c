import type { WorkerName } from './streamCluster.js';
import { requireThat, type Scene, type StreamFault } from './streamFault.js';

/** How long a worker under load may take to come to a point. */
const REACHED_MS = 40_000;

/** Kills a worker at a point of its own code, and starts it anew as a supervisor would. */
async function killAt(
  { cluster, struck }: Scene,
  name: WorkerName,
  point: string,
  times: number,
  affects: 'tasks' | 'nobody',
): Promise<void> {
  const partitions = affects === 'tasks' ? await cluster.partitionsOf(name) : [];
  await cluster.arm(name, `${point}:${times}`);
  requireThat(await cluster.ended(name, REACHED_MS), `${name} never came to ${point}`);
  requireThat(cluster.worker(name).endedBy === 'SIGKILL', `${name} ended otherwise than by ${point}`);
  if (affects === 'tasks') await struck(partitions);
  await cluster.startWorker(name);
}

const killed = (
  name: WorkerName,
  family: string,
  point: string,
  most: number,
  affects: 'tasks' | 'nobody',
): StreamFault => ({
  family,
  fault: `kill -9 ${point}`,
  run: (scene) => killAt(scene, name, point, 1 + scene.random.below(most), affects),
});

/** Around every step of a commit. Every second one strikes the worker that is connected by way of the proxy. */
const commits = ['before-begin', 'after-begin', 'after-outputs', 'after-offsets', 'after-commit'].map((point, at) =>
  killed(at % 2 === 0 ? 'score-1' : 'score-2', 'commit', point, 15, 'tasks'),
);

const snapshots = ['before-snapshot', 'after-snapshot'].map((point) =>
  killed('score-1', 'snapshot', point, 2, 'tasks'),
);

/** In the midst of a recovery: killed once more before the tasks are live again. */
const recoveries: readonly StreamFault[] = (
  [
    ['after-fence', false],
    ['in-replay', true],
  ] as const
).map(([point, isWhole]) => ({
  family: 'recovery',
  fault: `kill -9 ${point}`,
  run: async ({ cluster, random, struck }) => {
    const partitions = await cluster.partitionsOf('score-1');
    const tasks = await cluster.tasksOf('score-1');
    await cluster.worker('score-1').kill();
    await struck(partitions);
    // Without its snapshots a task replays its whole log, and can be killed in the midst of that.
    if (isWhole) for (const task of tasks) await cluster.dropSnapshot(task);
    await cluster.startWorker('score-1', { TIDEMILL_FAIL_POINT: `${point}:${1 + random.below(3)}` });
    requireThat(await cluster.ended('score-1', REACHED_MS), `score-1 never came to ${point}`);
    requireThat(cluster.worker('score-1').endedBy === 'SIGKILL', `score-1 ended otherwise than by ${point}`);
    await cluster.startWorker('score-1');
  },
}));

/** Around the write to the online store, which no transaction of the log covers. */
const stores = ['after-commit', 'before-store-write', 'after-store-write', 'after-store-mark'].map((point) =>
  killed('online', 'online store', point, 4, 'nobody'),
);

/** Joined outcomes, and ranges of the archive. */
const sides = ['after-outputs', 'after-offsets'].map((point) =>
  killed('side', 'outcome and archive', point, 6, 'nobody'),
);

export const KILL_FAULTS: readonly StreamFault[] = [...commits, ...snapshots, ...recoveries, ...stores, ...sides];
