import { isTidemillError, messageOf } from '../../contracts/errors.js';
import { progressOf, type ObjectSnapshot } from './objectSnapshotName.js';
import type { ObjectSnapshots } from './objectSnapshots.js';
import { SnapshotStore, type Snapshots } from './snapshotStore.js';
import type { TaskContext } from './taskContext.js';
import type { StreamTask } from './topology.js';

/** Offsets by partition name. */
export type Offsets = Readonly<Record<string, number>>;

/** The local snapshots that a recovery has open: in each moment one file at most. */
export class OpenSnapshots {
  private current: Snapshots | null = null;

  constructor(
    private readonly context: TaskContext,
    private readonly folder: string,
    readonly discard: (reason: string) => void,
  ) {}

  get opened(): Snapshots {
    if (this.current === null) throw new Error(`invariant broken: ${this.folder} is not open`);
    return this.current;
  }

  async open(): Promise<Snapshots> {
    const open = this.context.options.openSnapshots ?? ((folder, discard) => SnapshotStore.open(folder, discard));
    this.current = await open(this.folder, this.discard);
    return this.current;
  }

  /** Opens what `install` puts in the place of the file. */
  async replace(install: () => Promise<void>): Promise<Snapshots> {
    await this.opened.restored();
    await this.close();
    await install();
    return this.open();
  }

  async close(): Promise<void> {
    await this.current?.close();
    this.current = null;
  }

  /** Offsets of the local snapshot; null where there is none. A header that cannot be read discards it. */
  async offsets(identity: string): Promise<Offsets | null> {
    try {
      return this.opened.header()?.offsets ?? null;
    } catch (error) {
      if (!isTidemillError(error, 'STATE_CORRUPT')) throw error;
      this.discard(messageOf(error));
      await this.opened.reset(this.context.owner, identity);
      return null;
    }
  }
}

export interface Restored {
  readonly task: StreamTask;
  /** Offsets of the snapshot that the task holds now; null where there was none to use. */
  readonly offsets: Offsets | null;
  /** Entries of the snapshot that belong to no part of the task. */
  readonly foreign: readonly Uint8Array[];
}

/**
 * Gives a new task the newest snapshot at offsets <= C, be it the local one or one of the object store: a machine that never
 * ran the task has none, and one that ran it long ago an old one. What is corrupt, foreign or ahead is discarded, and the
 * next older is used.
 *
 *   local   ·········S             C      the newer one of the object store is brought here first
 *   objects ····S········S         C
 *
 * @param known offsets of the local one, and the snapshots of the object store, the newest first.
 */
export async function restoreNewest(
  context: TaskContext,
  snapshots: OpenSnapshots,
  known: {
    readonly local: Offsets | null;
    readonly objects: ObjectSnapshots | null;
    readonly stored: readonly ObjectSnapshot[];
    /** A new task, which knows what was committed with the offsets. */
    readonly create: () => StreamTask;
  },
  committed: ReadonlyMap<string, number>,
): Promise<Restored> {
  const { id, owner } = context;
  const { discard } = snapshots;
  const { local, objects, create } = known;
  let task = create();
  const usable = usableOf(task, known.stored, committed, discard);
  const tryOpened = (offsets: Offsets): Restored | null => {
    const found = restore(context, snapshots.opened, task, offsets, committed);
    if ('foreign' in found) return { task, offsets, foreign: found.foreign };
    discard(found.problem);
    task = create();
    return null;
  };
  let isLocalTried = local === null;
  for (const each of [...usable, null]) {
    if (!isLocalTried && local !== null && (each === null || progressOf(each.offsets) <= progressOf(local))) {
      const restored = tryOpened(local);
      if (restored !== null) return restored;
      isLocalTried = true;
    }
    if (each === null || objects === null) break;
    try {
      await snapshots.replace(await objects.fetch(each));
    } catch (error) {
      if (!isTidemillError(error, 'OBJECT_CORRUPT') && !isTidemillError(error, 'OBJECT_NOT_FOUND')) throw error;
      discard(messageOf(error));
      continue;
    }
    isLocalTried = true;
    context.options.onEvent?.({ kind: 'snapshotFetched', task: id, uri: each.uri, bytes: each.bytes });
    const restored = tryOpened(each.offsets);
    if (restored !== null) return restored;
  }
  if (local !== null || usable.length > 0) await snapshots.opened.reset(owner, task.stateIdentity);
  return { task, offsets: null, foreign: [] };
}

/** Snapshots of the object store, the newest first; none where it cannot be asked: the log has all that is in them. */
export async function storedSnapshots(
  objects: ObjectSnapshots | null,
  discard: (reason: string) => void,
): Promise<readonly ObjectSnapshot[]> {
  try {
    return (await objects?.list()) ?? [];
  } catch (error) {
    discard(`the object store does not list its snapshots: ${messageOf(error)}`);
    return [];
  }
}

/** What an address shows to be of no use is told once, not for each of many. */
function usableOf(
  task: StreamTask,
  stored: readonly ObjectSnapshot[],
  committed: ReadonlyMap<string, number>,
  discard: (reason: string) => void,
): readonly ObjectSnapshot[] {
  const told = new Set<string>();
  return stored.filter(({ uri, identity, offsets }) => {
    const problem = problemOf(task, identity, offsets, committed);
    if (problem === null) return true;
    const kind = identity === task.stateIdentity ? 'ahead' : identity;
    if (!told.has(kind)) discard(`${uri}: ${problem}`);
    told.add(kind);
    return false;
  });
}

/** Why a snapshot of this state at these offsets is of no use. */
function problemOf(
  task: StreamTask,
  identity: string | undefined,
  offsets: Offsets,
  committed: ReadonlyMap<string, number>,
): string | null {
  if (identity !== task.stateIdentity) return `it holds the state ${identity}, not ${task.stateIdentity}`;
  for (const [name, offset] of committed) {
    const at = offsets[name];
    // State in parts may have a part that reads a topic which nothing read before.
    if (at === undefined && task.parts === undefined) return `it has no offset for ${name}`;
    if (at !== undefined && at > offset) return `it is ahead: ${name} at ${at}, committed ${offset}`;
  }
  return null;
}

/** Why the snapshot cannot be used; or, when the task holds it now, the entries of it that belong to no part of the task. */
function restore(
  { topology, id, partitions }: TaskContext,
  snapshots: Snapshots,
  task: StreamTask,
  offsets: Offsets,
  committed: ReadonlyMap<string, number>,
): { readonly foreign: readonly Uint8Array[] } | { readonly problem: string } {
  try {
    const problem = problemOf(task, snapshots.header()?.identity, offsets, committed);
    if (problem !== null) return { problem };
    const foreign: Uint8Array[] = [];
    // Who reads by key has the file read through all the same: a damaged one must show itself while the mark stands.
    for (const { key, value } of snapshots.entries())
      if (task.attach === undefined && task.restore(key, value) === false) foreign.push(key);
    task.attach?.(snapshots);
    return { foreign };
  } catch (error) {
    if (isTidemillError(error, 'STATE_CORRUPT')) return { problem: messageOf(error) };
    throw new Error(`${topology.identity.name} ${id}: restoring ${partitions.length} partitions failed`, {
      cause: error,
    });
  }
}
