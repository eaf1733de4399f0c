import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SnapshotStore } from '../../../streams/runtime/snapshotStore.js';
import { mayMount, onSmallDisk } from '../fullDisk.js';
import type { StreamCluster } from './streamCluster.js';
import { requireThat, type Scene, type StreamFault } from './streamFault.js';

const REACHED_MS = 60_000;
/** Longer than the time between two snapshots. */
const SNAPSHOTS_MS = 6_000;

/** A snapshot without the pages that LMDB would use again: its next write needs new ones. */
async function compact(folder: string): Promise<void> {
  const store = await SnapshotStore.open(folder, (why) => {
    throw new Error(why);
  });
  try {
    await store.copyTo(`${folder}.compact`);
    await store.restored();
  } finally {
    await store.close();
  }
  await rm(folder, { recursive: true });
  await rename(`${folder}.compact`, folder);
}

/** Something is done to the snapshots of a worker that is down; each of them must be given up for a stated reason, and replayed. */
const damaged = (
  fault: string,
  reason: RegExp,
  damage: (cluster: StreamCluster, task: string) => Promise<boolean>,
): StreamFault => ({
  family: 'snapshot',
  fault,
  run: async ({ cluster, struck }: Scene) => {
    const partitions = await cluster.partitionsOf('score-1');
    const tasks = await cluster.tasksOf('score-1');
    // Snapshots of this very life.
    await sleep(SNAPSHOTS_MS);
    await cluster.worker('score-1').kill();
    await struck(partitions);
    const damagedTasks: string[] = [];
    for (const task of tasks) if (await damage(cluster, task)) damagedTasks.push(task);
    requireThat(damagedTasks.length > 0, 'score-1 left no snapshot');
    // Whoever comes first takes a task over: the one that starts anew, or the other one.
    const from = { 'score-1': await cluster.logs.end('score-1'), 'score-2': await cluster.logs.end('score-2') };
    await cluster.startWorker('score-1');
    for (const task of damagedTasks) {
      const line = await cluster.logs.findAny(from, new RegExp(`"snapshotDiscarded","task":"${task}"`), REACHED_MS);
      requireThat(line !== null && reason.test(line), `the snapshot of ${task} was not given up: ${line}`);
    }
  },
});

/** Changes what a snapshot says about itself. */
async function rewrite(
  { snapshotFolder }: { snapshotFolder: string },
  change: (header: { identity: string; offsets: Readonly<Record<string, number>> }) => {
    identity: string;
    offsets: Readonly<Record<string, number>>;
  },
): Promise<boolean> {
  const store = await SnapshotStore.open(snapshotFolder, (why) => {
    throw new Error(why);
  });
  try {
    const header = store.header();
    await store.restored();
    if (header?.offsets === undefined || header.offsets === null) return false;
    const { identity, offsets, owner } = header;
    await store.write({ ...header, ...change({ identity, offsets }), owner }, []);
    return true;
  } finally {
    await store.close();
  }
}

export const SNAPSHOT_FAULTS: readonly StreamFault[] = [
  {
    family: 'snapshot',
    fault: 'disk full',
    needs: mayMount,
    run: async ({ cluster, struck }) => {
      const both = ['score-1', 'score-2'] as const;
      await Promise.all(both.map((name) => cluster.stopWorker(name)));
      for (const task of await readdir(cluster.snapshotsFolder, { withFileTypes: true })) {
        if (task.isDirectory()) await compact(cluster.snapshotFolder(task.name));
      }
      const disk = await onSmallDisk(cluster.snapshotsFolder);
      try {
        const from = await Promise.all(both.map((name) => cluster.logs.end(name)));
        await Promise.all(both.map((name) => cluster.startWorker(name)));
        await disk.fill();
        const ended = await Promise.race(both.map((name) => cluster.ended(name, REACHED_MS).then(() => name)));
        const worker = cluster.worker(ended);
        requireThat(!worker.isRunning, 'no worker ended for its disk');
        const at = both.indexOf(ended);
        const line = await cluster.logs.find(ended, /DISK_FULL/, from[at] ?? 0, 1_000);
        requireThat(line !== null, `${ended} ended with ${worker.exitCode ?? worker.endedBy}, and named no full disk`);
        await struck();
        await disk.empty();
        // The other one may have ended by now, or may not.
        for (const name of both) if (!cluster.worker(name).isRunning) await cluster.startWorker(name);
        await cluster.shared();
      } finally {
        await Promise.all(both.map((name) => cluster.stopWorker(name)));
        await disk.end();
      }
    },
  },
  damaged('corrupt', /./, async (cluster, task) => {
    const file = join(cluster.snapshotFolder(task), 'data.mdb');
    const { size } = await stat(file);
    const handle = await open(file, 'r+');
    try {
      // Both copies of the root page, and a good part of the rest.
      await handle.write(Buffer.alloc(Math.min(size, 40_000), 0xa5), 0, undefined, 0);
      return true;
    } finally {
      await handle.close();
    }
  }),
  damaged('of another definition', /it holds the state/, async (cluster, task) =>
    rewrite({ snapshotFolder: cluster.snapshotFolder(task) }, (header) => ({ ...header, identity: 'another' })),
  ),
  damaged('ahead of the committed offsets', /it is ahead/, async (cluster, task) =>
    rewrite({ snapshotFolder: cluster.snapshotFolder(task) }, ({ identity, offsets }) => ({
      identity,
      offsets: Object.fromEntries(Object.entries(offsets).map(([name, offset]) => [name, offset + 1_000_000])),
    })),
  ),
];
