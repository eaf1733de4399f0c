import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ORDER_EVERY_MS } from './load.js';
import { orders } from './project.js';
import type { StreamCluster, WorkerName } from './streamCluster.js';
import { requireThat, type StreamFault } from './streamFault.js';

const REACHED_MS = 40_000;
/** Less than a session: the group never hears of it. */
const UNNOTICED_MS = 6_000;
const HOUR_MS = 3_600_000;

/** Waits until a worker has frozen itself at a fail point. */
async function frozen(cluster: StreamCluster, name: WorkerName): Promise<boolean> {
  const until = performance.now() + REACHED_MS;
  while (performance.now() < until) {
    const stat = await readFile(`/proc/${cluster.worker(name).pid}/stat`, 'utf8');
    if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')) return true;
    await sleep(50);
  }
  return false;
}

const freezes: readonly StreamFault[] = [
  {
    family: 'zombie',
    fault: 'SIGSTOP in the midst of a transaction past its session, then SIGCONT',
    run: async ({ cluster, struck }) => {
      const partitions = await cluster.partitionsOf('score-2');
      const from = await cluster.logs.end('score-2');
      await cluster.arm('score-2', 'after-outputs:4:stop');
      requireThat(await frozen(cluster, 'score-2'), 'score-2 never came to after-outputs');
      await struck(partitions);
      // Its tasks have gone to the other one, and are live there.
      await cluster.shared(['score-1']);
      await sleep(2_000);
      cluster.worker('score-2').signal('SIGCONT');
      requireThat(
        (await cluster.logs.find('score-2', /"kind":"(lost|rebuild)"/, from, REACHED_MS)) !== null,
        'the zombie was never told that its tasks are gone',
      );
      await cluster.shared();
    },
  },
  {
    family: 'zombie',
    fault: 'SIGSTOP before a write to the online store past its session, then SIGCONT',
    run: async ({ cluster }) => {
      await cluster.arm('online', 'before-store-write:2:stop');
      requireThat(await frozen(cluster, 'online'), 'online never came to before-store-write');
      const from = await cluster.logs.end('online-2');
      await cluster.startWorker('online-2');
      // What it writes is newer than what the zombie is about to write.
      for (let task = 0; task < 4; task++) {
        requireThat(
          (await cluster.logs.find('online-2', new RegExp(`"recovered".*-${task}"`), from, REACHED_MS)) !== null,
          'nobody took over from the zombie',
        );
      }
      await sleep(2_000);
      cluster.worker('online').signal('SIGCONT');
      await sleep(3_000);
      await cluster.stopWorker('online-2');
    },
  },
  {
    family: 'upstream',
    fault: 'SIGSTOP of upstream tasks for longer than the lateness',
    run: async ({ cluster, load, struck }) => {
      const partitions = await cluster.partitionsOf('score-1');
      const at = load.at;
      cluster.worker('score-1').signal('SIGSTOP');
      await struck(partitions);
      await sleep(UNNOTICED_MS);
      // Others have gone on by more than the lateness meanwhile.
      while (load.at - at <= orders.compiled.allowedLatenessMs + ORDER_EVERY_MS) await sleep(100);
      cluster.worker('score-1').signal('SIGCONT');
    },
  },
];

const members: readonly StreamFault[] = [
  {
    family: 'rebalance',
    fault: 'two workers join and leave during a recovery',
    run: async ({ cluster, struck }) => {
      const partitions = await cluster.partitionsOf('score-1');
      const tasks = await cluster.tasksOf('score-1');
      await cluster.worker('score-1').kill();
      await struck(partitions);
      // Long recoveries: the members come and go in their midst.
      for (const task of tasks) await cluster.dropSnapshot(task);
      const from = await cluster.logs.end('score-1');
      await cluster.startWorker('score-1');
      for (const name of ['score-3', 'score-4'] as const) {
        await cluster.startWorker(name);
        await sleep(1_000);
      }
      requireThat(
        (await cluster.logs.find('score-3', /"kind":"recovered"/, 0, REACHED_MS)) !== null,
        'score-3 was never given a task',
      );
      await cluster.stopWorker('score-3');
      await cluster.stopWorker('score-4');
      requireThat(
        (await cluster.logs.find('score-1', /"kind":"recovered"/, from, REACHED_MS)) !== null,
        'score-1 never recovered a task',
      );
      await cluster.shared();
    },
  },
  {
    family: 'rebalance',
    fault: 'SIGTERM under load',
    run: async ({ cluster, struck }) => {
      const partitions = await cluster.partitionsOf('score-2');
      await struck(partitions);
      const worker = cluster.worker('score-2');
      await worker.stop();
      requireThat(worker.exitCode === 0, `score-2 drained and ended with ${worker.exitCode ?? worker.endedBy}`);
      await cluster.startWorker('score-2');
      await cluster.shared();
    },
  },
];

/** The wall clock of a worker leaps by an hour while it works; monotonic time goes on as it does. */
const clocks = [HOUR_MS, -HOUR_MS].map((jumpMs): StreamFault => ({
  family: 'clock',
  fault: `jump by ${jumpMs > 0 ? 'an hour ahead' : 'an hour back'}`,
  run: async ({ cluster, struck }) => {
    await cluster.stopWorker('score-1');
    const preload = new URL('./jumpingClock.js', import.meta.url).href;
    const from = await cluster.logs.end('score-1');
    await cluster.startWorker('score-1', {
      NODE_OPTIONS: `--import ${preload}`,
      TIDEMILL_CHAOS_CLOCK_JUMP_MS: String(jumpMs),
    });
    await cluster.shared();
    await cluster.arm('score-1', 'nothing:1');
    requireThat(
      (await cluster.logs.find('score-1', /the clock has jumped/, from, REACHED_MS)) !== null,
      'the clock of score-1 never jumped',
    );
    await struck(await cluster.partitionsOf('score-1'));
    await sleep(3_000);
    // The next one has the right time again.
    await cluster.stopWorker('score-1');
  },
}));

export const MEMBER_FAULTS: readonly StreamFault[] = [...freezes, ...members, ...clocks];
