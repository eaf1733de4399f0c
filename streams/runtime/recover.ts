import { join } from 'node:path';
import { isTidemillError, messageOf, TidemillError } from '../../contracts/errors.js';
import { groupId, topologyPrefix, transactionalId } from '../../contracts/topics.js';
import type { TopicPartition, TransactionalProducer } from '../../stores/log/log.js';
import { openAtLeastOnceProducer, type CommitOffsets } from './atLeastOnceProducer.js';
import { SnapshotStore, type Snapshots } from './snapshotStore.js';
import type { TaskContext } from './taskContext.js';
import { partitionName } from './taskInputs.js';
import { decodeFiredThrough } from './taskTimers.js';
import type { NeededHistory, StreamTask } from './topology.js';

/** Everything that a task needs to go on exactly where its predecessor committed. */
export interface Recovery {
  readonly producer: TransactionalProducer;
  readonly snapshots: Snapshots;
  readonly task: StreamTask;
  /** Replay starts here, by partition name. */
  readonly from: ReadonlyMap<string, number>;
  /** Offsets of the snapshot: what lies before is replayed into the parts alone that it lacked. */
  readonly heldFrom: ReadonlyMap<string, number>;
  /** Replay ends and live processing starts here: the committed offsets. */
  readonly committed: ReadonlyMap<string, number>;
  readonly highWatermarks: ReadonlyMap<string, number>;
  readonly fromSnapshot: boolean;
}

/**
 * Recovery, as a workflow recovers: the newest snapshot, and the log since.
 *
 *   1. fence: nobody else can commit for this task from now on (at-least-once fences nobody: a zombie's outputs are repeats)
 *   2. read the committed offsets C, and the time up to which timers were fired: what the predecessor was committing is
 *      decided by now, one way or the other
 *   3. restore the newest snapshot at offsets S <= C; a corrupt, foreign or advanced one is discarded. Parts that it lacks
 *      (views that were added) are built from the start of the log; parts of it that the task does not have are dropped
 *   4. check that the log still holds what is needed
 *   (the runner then replays S to C silently, for what is built from the start on, and goes live)
 *
 * @throws TidemillError GROUP_NOT_INITIALISED, OFFSETS_MISSING, OFFSET_LOST
 */
export async function recover(context: TaskContext, commitOffsets: CommitOffsets): Promise<Recovery> {
  const { topology, options, id, partitions, owner } = context;
  const { identity } = topology;
  const { log } = options;

  // 1 fence
  const producer =
    options.processing === 'at-least-once'
      ? await openAtLeastOnceProducer(log, commitOffsets)
      : await log.transactionalProducer(transactionalId(identity, id));
  let snapshots: Snapshots | null = null;
  try {
    options.reach?.('after-fence', id);
    // 2 committed offsets
    const found = await log.committed(groupId(identity), partitions);
    const ranges = new Map<string, { low: number; high: number }>();
    for (const topic of new Set(partitions.map((each) => each.topic))) {
      for (const { partition, low, high } of await log.offsets(topic))
        ranges.set(partitionName({ topic, partition }), { low, high });
    }
    const discard = (reason: string): void => {
      context.counters.snapshotsDiscarded++;
      options.onEvent?.({ kind: 'snapshotDiscarded', task: id, reason });
    };
    const open = options.openSnapshots ?? ((folder, onDiscard) => SnapshotStore.open(folder, onDiscard));
    snapshots = await open(join(options.directory, 'snapshots', topologyPrefix(identity), id), discard);
    const firedThrough = decodeFiredThrough(found.map(({ metadata }) => metadata));
    const createTask = (): StreamTask => {
      const created = topology.createTask(id, partitions);
      created.timers?.resume(firedThrough);
      return created;
    };
    let task = createTask();
    const held = await heldOffsets(context, snapshots, task.stateIdentity, discard);

    const committed = new Map<string, number>();
    for (const { topic, partition, offset } of found) {
      const name = partitionName({ topic, partition });
      if (offset !== null) {
        committed.set(name, offset);
        continue;
      }
      if (held !== null && (held[name] ?? 0) > 0) {
        throw new TidemillError(
          'OFFSETS_MISSING',
          `${id}: there is a snapshot, but the group has no committed offset for ${name}`,
          { task: id, partition: name },
        );
      }
      const start = topology.sources.find((source) => source.topic === topic)?.start;
      if (start === 'joining' && (await isInitialised(context))) {
        committed.set(name, ranges.get(name)?.high ?? 0);
        continue;
      }
      if (start !== 'earliest') {
        throw new TidemillError('GROUP_NOT_INITIALISED', `${id}: nobody has said where ${name} starts`, {
          task: id,
          partition: name,
        });
      }
      committed.set(name, ranges.get(name)?.low ?? 0);
    }

    // 3 snapshot
    let fromSnapshot = false;
    let foreign: readonly Uint8Array[] = [];
    if (held !== null) {
      const found = restore(context, snapshots, task, held, committed);
      if ('foreign' in found) {
        fromSnapshot = true;
        ({ foreign } = found);
      } else {
        discard(found.problem);
        task = createTask();
        await snapshots.reset(owner, task.stateIdentity);
      }
    }
    const heldParts = new Set(snapshots.header()?.parts ?? []);
    await snapshots.claim(owner, task.stateIdentity, task.parts ?? [], foreign);
    if (!fromSnapshot) task.attach?.(snapshots);
    await snapshots.restored();
    const lowOf = (name: string): number => ranges.get(name)?.low ?? 0;
    const heldFrom = new Map(
      [...committed.keys()].map((name) => [name, fromSnapshot ? (held?.[name] ?? lowOf(name)) : lowOf(name)]),
    );
    const from = new Map(heldFrom);
    const lacking = fromSnapshot ? (task.parts ?? []).filter((part) => !heldParts.has(part)) : [];
    if (lacking.length > 0) {
      const needed = task.lacks?.(new Set(lacking)) ?? [];
      for (const history of needed) {
        for (const place of partitions) {
          if (place.topic !== history.topic) continue;
          const name = partitionName(place);
          await requireHistory(context, place, history, ranges.get(name) ?? { low: 0, high: 0 });
          from.set(name, lowOf(name));
        }
      }
      options.onEvent?.({
        kind: 'building',
        task: id,
        parts: needed.flatMap(({ parts }) => parts.map((part) => part.name)),
      });
    }

    // 4 the log holds what is needed
    for (const [name, offset] of from) {
      const low = ranges.get(name)?.low ?? 0;
      // Without a snapshot the state starts with the log; history that was deleted before is known to be gone.
      if (offset < low)
        throw new TidemillError('OFFSET_LOST', `${name}: offset ${offset} is needed, the log starts at ${low}`, {
          name,
          offset,
          low,
        });
    }
    const highWatermarks = new Map([...committed.keys()].map((name) => [name, ranges.get(name)?.high ?? 0]));
    return { producer, snapshots, task, from, heldFrom, committed, highWatermarks, fromSnapshot };
  } catch (error) {
    await snapshots?.close();
    await producer.close();
    throw error;
  }
}

/** Offsets of the snapshot; null where there is none. A header that cannot be read discards it. */
async function heldOffsets(
  { owner }: TaskContext,
  snapshots: Snapshots,
  identity: string,
  discard: (reason: string) => void,
): Promise<Readonly<Record<string, number>> | null> {
  try {
    return snapshots.header()?.offsets ?? null;
  } catch (error) {
    if (!isTidemillError(error, 'STATE_CORRUPT')) throw error;
    discard(messageOf(error));
    await snapshots.reset(owner, identity);
    return null;
  }
}

/** Does the group have offsets of the topology's main source? */
async function isInitialised({ topology, options }: TaskContext): Promise<boolean> {
  const topic = topology.sources[0]?.topic ?? '';
  const places = (await options.log.offsets(topic)).map(({ partition }) => ({ topic, partition }));
  return (await options.log.committed(groupId(topology.identity), places)).some(({ offset }) => offset !== null);
}

/**
 * What a part is built from must be there from the log's start, but for what counts for nothing.
 *
 * @throws TidemillError OFFSET_LOST
 */
async function requireHistory(
  { id, options }: TaskContext,
  place: TopicPartition,
  { parts, appendedSince }: NeededHistory,
  { low, high }: { readonly low: number; readonly high: number },
): Promise<void> {
  if (low === 0) return;
  // Log time never goes back: everything before the first record that is left is as old as it, or older.
  for await (const [first] of options.log.read({ ...place, from: low, to: high })) {
    if (first === undefined) continue;
    if (first.timestamp < appendedSince) return;
    break;
  }
  const name = partitionName(place);
  throw new TidemillError(
    'OFFSET_LOST',
    `${id}: ${parts.map((part) => part.name).join(', ')} cannot be built: offsets 0 to ${low - 1} of ${name} are lost`,
    { task: id, name, offset: 0, low, parts: parts.map(({ identity }) => identity) },
  );
}

/** Why the snapshot cannot be used; or, when the task holds it now, the entries of it that belong to no part of the task. */
function restore(
  { topology, id, partitions }: TaskContext,
  snapshots: Snapshots,
  task: StreamTask,
  held: Readonly<Record<string, number>>,
  committed: ReadonlyMap<string, number>,
): { readonly foreign: readonly Uint8Array[] } | { readonly problem: string } {
  const identity = snapshots.header()?.identity;
  if (identity !== task.stateIdentity) return { problem: `it holds the state ${identity}, not ${task.stateIdentity}` };
  for (const [name, offset] of committed) {
    const at = held[name];
    // State in parts may have a part that reads a topic which nothing read before.
    if (at === undefined && task.parts === undefined) return { problem: `it has no offset for ${name}` };
    if (at !== undefined && at > offset) return { problem: `it is ahead: ${name} at ${at}, committed ${offset}` };
  }
  try {
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

/** Does a new recovery help? Lost offsets, missing offsets or a broken invariant do not heal by themselves. */
export function isHealing(error: unknown): boolean {
  return (
    isTidemillError(error, 'PRODUCER_FENCED') ||
    isTidemillError(error, 'PRODUCER_UNUSABLE') ||
    isTidemillError(error, 'LOG_UNAVAILABLE') ||
    isTidemillError(error, 'SNAPSHOT_NOT_OWNED') ||
    isTidemillError(error, 'STATE_CORRUPT') ||
    isTidemillError(error, 'TEMPORAL_UNAVAILABLE') ||
    isTidemillError(error, 'REGISTRY_BUSY') ||
    (error instanceof Error && error.name.startsWith('KafkaJS'))
  );
}
