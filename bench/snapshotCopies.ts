import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { spendPerCustomer } from '../examples/sales/project.js';
import { createMemoryLog } from '../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import { ObjectSnapshots } from '../streams/runtime/objectSnapshots.js';
import { SnapshotStore, type Snapshots } from '../streams/runtime/snapshotStore.js';
import { TopologyCounters } from '../streams/runtime/topologyCounters.js';
import { windowTopology } from '../streams/topologies/windows/windowTopology.js';

/**
 * How long the event loop stands still while a copy of a task's snapshot goes to the object store, step by step, and as long
 * again without a copy. Small changes are written to the snapshot meanwhile, as a running task does.
 *
 * The heap holds state meanwhile, as that of a task does: garbage that a copy makes is collected at its expense.
 *
 *   npm run bench -- snapshot-copies [--json] [--megabytes 200] [--copies 5] [--held 2000000] [--changes 50]
 */
/** What LMDB takes for an entry of this size. */
const PAGE_BYTES = 4_096;
const ENTRY_BYTES = 2_000;
const ENTRIES_PER_WRITE = 5_000;
const OWNER = 'bench';
const IDENTITY = 'state';
/** Between two writes of changes, ms, and entries changed by each. */
const CHANGE_MS = 100;
const CHANGES = option('--changes', 50);

const megabytes = option('--megabytes', 200);
const copies = option('--copies', 5);
const entries = Math.ceil((megabytes * 1e6) / PAGE_BYTES);
/** Objects on the heap, as many as a task may hold. */
const held = Array.from({ length: option('--held', 2_000_000) }, (_, id) => ({ id, text: `event-${id}` }));

const delay = monitorEventLoopDelay({ resolution: 1 });
/** Longest delays by step, ms: as they were, and without the time for which the thread waited for a processor. */
const steps = new Map<string, { worstMs: number; ownMs: number }>();
let step = 'no copy';
let ownMs = 0;
let last = { at: performance.now(), waitedMs: waitedMs() };
const TICK_MS = 1;

/** On a machine with other work a delay is mostly a wait for one of its processors, which no program can help. */
function tick(): void {
  const now = { at: performance.now(), waitedMs: waitedMs() };
  ownMs = Math.max(ownMs, now.at - last.at - TICK_MS - (now.waitedMs - last.waitedMs));
  last = now;
}

/** How long the main thread has waited for a processor, ms; 0 where the system does not tell. */
function waitedMs(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** From here on, delays belong to `next`. */
function enter(next: string): void {
  tick();
  const known = steps.get(step) ?? { worstMs: 0, ownMs: 0 };
  steps.set(step, { worstMs: Math.max(known.worstMs, delay.max / 1e6), ownMs: Math.max(known.ownMs, ownMs) });
  delay.reset();
  ownMs = 0;
  step = next;
}

const root = await mkdtemp(join(tmpdir(), 'tidemill-copies-'));
try {
  await measure();
} finally {
  await rm(root, { recursive: true });
}

async function measure(): Promise<void> {
  const snapshots = await SnapshotStore.open(join(root, 'task'), () => undefined);
  await snapshots.claim(OWNER, IDENTITY);
  for (let first = 0; first < entries; first += ENTRIES_PER_WRITE) await write(snapshots, first, ENTRIES_PER_WRITE);
  const objects = openDiskObjectStore(join(root, 'objects'));
  let stored: () => void = () => undefined;
  let bytes = 0;
  let copyMs = 0;
  const copied = new ObjectSnapshots(
    {
      topology: windowTopology({
        project: 'bench',
        windows: spendPerCustomer.compiled,
        generation: 1,
        partitions: 1,
        setsAside: true,
      }),
      id: 'customer-0',
      partitions: [],
      owner: OWNER,
      drift: null,
      counters: new TopologyCounters('bench'),
      options: {
        log: createMemoryLog({ clock: () => Date.now() }),
        instance: OWNER,
        directory: root,
        onFatal: (error) => {
          throw error;
        },
        onEvent: (event) => {
          if (event.kind === 'snapshotNotStored') throw new Error(event.reason);
          if (event.kind !== 'snapshotStored') return;
          enter('prune and clear away');
          bytes = event.bytes;
          copyMs += event.ms;
          stored();
        },
      },
    },
    { objects: watched(objects), intervalMs: 0 },
    join(root, 'task'),
  );

  let isDone = false;
  const changing = (async () => {
    for (let turn = 0; !isDone; turn++) {
      if (CHANGES > 0) await write(snapshots, (turn * CHANGES) % entries, CHANGES);
      await sleep(CHANGE_MS);
    }
  })();
  delay.enable();
  const ticking = setInterval(tick, TICK_MS);
  delay.reset();
  last = { at: performance.now(), waitedMs: waitedMs() };
  for (let copy = 0; copy < copies; copy++) {
    await sleep(1_000);
    enter('copy the database');
    const isStored = new Promise<void>((resolve) => (stored = resolve));
    copied.offer({
      copyTo: async (folder) => {
        await snapshots.copyTo(folder);
        enter('read its header');
      },
    } satisfies Pick<Snapshots, 'copyTo'>);
    await isStored;
    await copied.settled();
    // A delay is known when the next timer fires.
    await sleep(5);
    enter('no copy');
  }
  delay.disable();
  clearInterval(ticking);
  isDone = true;
  await changing;
  await snapshots.close();
  report(bytes, copyMs / copies);
}

function watched(objects: ObjectStore): ObjectStore {
  return {
    ...objects,
    putFile: async (...args) => {
      enter('hash and move');
      return objects.putFile(...args);
    },
  };
}

async function write(snapshots: Snapshots, first: number, count: number): Promise<void> {
  const changed = Array.from({ length: count }, (_, at) => {
    const key = Buffer.alloc(8);
    key.writeUInt32BE((first + at) % entries, 4);
    return { key, value: Buffer.alloc(ENTRY_BYTES, first + at) };
  });
  await snapshots.write({ owner: OWNER, identity: IDENTITY, offsets: { 'bench.sales-0': first } }, changed);
}

function report(bytes: number, copyMs: number): void {
  const round = (ms: number): number => Math.round(ms * 10) / 10;
  const delays = Object.fromEntries(
    [...steps].map(([name, each]) => [name, { worstMs: round(each.worstMs), ownMs: round(each.ownMs) }]),
  );
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify({ bytes, heldObjects: held.length, copies, copyMs: round(copyMs), delays }));
    return;
  }
  console.log(
    `${held.length} objects on the heap, ${copies} copies of ${Math.round(bytes / 1e6)} MB, ${Math.round(copyMs)} ms each; longest delays of the event loop:`,
  );
  for (const [name, each] of Object.entries(delays))
    console.log(
      `  ${name.padEnd(22)}${each.worstMs.toFixed(1).padStart(6)} ms, ${each.ownMs.toFixed(1)} ms without waits for a processor`,
    );
}

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}
