import { join } from 'node:path';
import { isTidemillError, messageOf, TidemillError } from '../../contracts/errors.js';
import { groupId, topologyPrefix, transactionalId } from '../../contracts/topics.js';
import type { TransactionalProducer } from '../../stores/log/log.js';
import { SnapshotStore, type Snapshots } from './snapshotStore.js';
import type { TaskContext } from './taskContext.js';
import { partitionName } from './taskInputs.js';
import type { StreamTask } from './topology.js';

/** Everything that a task needs to go on exactly where its predecessor committed. */
export interface Recovery {
  readonly producer: TransactionalProducer;
  readonly snapshots: Snapshots;
  readonly task: StreamTask;
  /** Replay starts here, by partition name. */
  readonly from: ReadonlyMap<string, number>;
  /** Replay ends and live processing starts here: the committed offsets. */
  readonly committed: ReadonlyMap<string, number>;
  readonly highWatermarks: ReadonlyMap<string, number>;
  readonly fromSnapshot: boolean;
}

/**
 * Recovery, as a workflow recovers: the newest snapshot, and the log since.
 *
 *   1. fence: nobody else can commit for this task from now on
 *   2. read the committed offsets C: what the predecessor was committing is decided by now, one way or the other
 *   3. restore the newest snapshot at offsets S <= C; a corrupt, foreign or advanced one is discarded
 *   4. check that the log still holds S
 *   (the runner then replays S to C silently and goes live)
 *
 * @throws TidemillError GROUP_NOT_INITIALISED, OFFSETS_MISSING, OFFSET_LOST
 */
export async function recover(context: TaskContext): Promise<Recovery> {
  const { topology, options, id, partitions, owner } = context;
  const { identity } = topology;
  const { log } = options;

  // 1 fence
  const producer = await log.transactionalProducer(transactionalId(identity, id));
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
    const discard = (reason: string): void => options.onEvent?.({ kind: 'snapshotDiscarded', task: id, reason });
    const open = options.openSnapshots ?? ((folder, onDiscard) => SnapshotStore.open(folder, onDiscard));
    snapshots = await open(join(options.directory, 'snapshots', topologyPrefix(identity), id), discard);
    let task = topology.createTask(id, partitions);
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
      if (topology.sources.find((source) => source.topic === topic)?.start !== 'earliest') {
        throw new TidemillError('GROUP_NOT_INITIALISED', `${id}: nobody has said where ${name} starts`, {
          task: id,
          partition: name,
        });
      }
      committed.set(name, ranges.get(name)?.low ?? 0);
    }

    // 3 snapshot
    let fromSnapshot = false;
    if (held !== null) {
      const problem = await restore(context, snapshots, task, held, committed);
      if (problem === null) fromSnapshot = true;
      else {
        discard(problem);
        task = topology.createTask(id, partitions);
        await snapshots.reset(owner, task.stateIdentity);
      }
    }
    await snapshots.claim(owner, task.stateIdentity);
    await snapshots.restored();
    const from = new Map(
      [...committed.keys()].map((name) => [name, fromSnapshot ? (held?.[name] ?? 0) : (ranges.get(name)?.low ?? 0)]),
    );

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
    return { producer, snapshots, task, from, committed, highWatermarks, fromSnapshot };
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

/** Why the snapshot cannot be used; null when the task holds it now. */
async function restore(
  { topology, id, partitions }: TaskContext,
  snapshots: Snapshots,
  task: StreamTask,
  held: Readonly<Record<string, number>>,
  committed: ReadonlyMap<string, number>,
): Promise<string | null> {
  const identity = snapshots.header()?.identity;
  if (identity !== task.stateIdentity) return `it holds the state ${identity}, not ${task.stateIdentity}`;
  for (const [name, offset] of committed) {
    const at = held[name];
    if (at === undefined) return `it has no offset for ${name}`;
    if (at > offset) return `it is ahead: ${name} at ${at}, committed ${offset}`;
  }
  try {
    for (const { key, value } of snapshots.entries()) task.restore(key, value);
    return null;
  } catch (error) {
    if (isTidemillError(error, 'STATE_CORRUPT')) return messageOf(error);
    throw new Error(`${topology.identity.name} ${id}: restoring ${partitions.length} partitions failed`, {
      cause: error,
    });
  }
}
