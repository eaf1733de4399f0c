import { join } from 'node:path';
import { isTidemillError } from '../../contracts/errors.js';
import { groupId, topologyPrefix, transactionalId } from '../../contracts/topics.js';
import type { TransactionalProducer } from '../../stores/log/log.js';
import { committedOffsets } from './committedOffsets.js';
import { openAtLeastOnceProducer, type CommitOffsets } from './atLeastOnceProducer.js';
import { InputHistory, type LogRange } from './inputHistory.js';
import { snapshotsIn } from './localSnapshots.js';
import { ObjectSnapshots } from './objectSnapshots.js';
import { OpenSnapshots, restoreNewest, storedSnapshots } from './restoreNewest.js';
import type { Snapshots } from './snapshotStore.js';
import { startingOffsets } from './startingOffsets.js';
import type { TaskContext } from './taskContext.js';
import { partitionName } from './taskInputs.js';
import { decodeFiredThrough } from './taskTimers.js';
import type { StreamTask } from './topology.js';

/** Everything that a task needs to go on exactly where its predecessor committed. */
export interface Recovery {
  readonly producer: TransactionalProducer;
  readonly snapshots: Snapshots;
  /** Copies of them in the object store; null where there are none to be. */
  readonly objects: ObjectSnapshots | null;
  readonly task: StreamTask;
  /** Replay starts here, by partition name. */
  readonly from: ReadonlyMap<string, number>;
  /** Offsets of the snapshot: what lies before is replayed into the parts alone that it lacked. */
  readonly heldFrom: ReadonlyMap<string, number>;
  /** Replay ends and live processing starts here: the committed offsets. */
  readonly committed: ReadonlyMap<string, number>;
  /** What lies before is in the archive. */
  readonly logStarts: ReadonlyMap<string, number>;
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
 *   4. check that what is needed is still in the log, or before it in the archive
 *   (the runner then replays S to C silently, for what is built from the start on, and goes live)
 *
 * @throws TidemillError GROUP_NOT_INITIALISED, OFFSETS_MISSING, OFFSET_AHEAD, OFFSET_LOST
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
  const folder = join(snapshotsIn(options.directory), topologyPrefix(identity), id);
  const discard = (reason: string): void => {
    context.counters.snapshotsDiscarded++;
    options.onEvent?.({ kind: 'snapshotDiscarded', task: id, reason });
  };
  const opened = new OpenSnapshots(context, folder, discard);
  const objects =
    options.objectSnapshots === undefined ? null : new ObjectSnapshots(context, options.objectSnapshots, folder);
  try {
    options.reach?.('after-fence', id);
    // 2 committed offsets
    const found = await committedOffsets(log, groupId(identity), partitions, options.clock);
    const ranges = new Map<string, LogRange>();
    for (const topic of new Set(partitions.map((each) => each.topic))) {
      for (const { partition, low, high } of await log.offsets(topic))
        ranges.set(partitionName({ topic, partition }), { low, high });
    }
    const history = new InputHistory(context, ranges);
    await opened.open();
    const firedThrough = decodeFiredThrough(found.map(({ metadata }) => metadata));
    const create = (): StreamTask => {
      const created = topology.createTask(id, partitions);
      created.timers?.resume(firedThrough);
      return created;
    };
    const { stateIdentity } = create();
    const local = await opened.offsets(stateIdentity);
    const stored = await storedSnapshots(objects, discard);
    const committed = await startingOffsets(context, found, ranges, local ?? stored[0]?.offsets ?? null);

    // 3 snapshot
    const restored = await restoreNewest(context, opened, { local, stored, objects, create }, committed);
    const { task, offsets: held } = restored;
    const snapshots = opened.opened;
    const fromSnapshot = held !== null;
    const heldParts = new Set(snapshots.header()?.parts ?? []);
    await snapshots.claim(owner, task.stateIdentity, task.parts ?? [], restored.foreign);
    if (!fromSnapshot) task.attach?.(snapshots);
    await snapshots.restored();
    const heldFrom = new Map<string, number>();
    for (const place of partitions) {
      const name = partitionName(place);
      heldFrom.set(name, held?.[name] ?? (await history.beginning(place)));
    }
    const from = new Map(heldFrom);
    const lacking = fromSnapshot ? (task.parts ?? []).filter((part) => !heldParts.has(part)) : [];
    if (lacking.length > 0) {
      const needed = task.lacks?.(new Set(lacking)) ?? [];
      for (const each of needed) {
        for (const place of partitions.filter(({ topic }) => topic === each.topic)) {
          await history.requireParts(place, each);
          from.set(partitionName(place), await history.start(place));
        }
      }
      options.onEvent?.({
        kind: 'building',
        task: id,
        parts: needed.flatMap(({ parts }) => parts.map((part) => part.name)),
      });
    }

    // 4 log and archive hold what is needed
    for (const place of partitions) {
      const name = partitionName(place);
      // What was committed and lies before both can be answered by nobody any more, whatever the state.
      await history.require(place, Math.min(from.get(name) as number, committed.get(name) as number));
    }
    const logStarts = new Map(partitions.map((place) => [partitionName(place), history.rangeOf(place).low]));
    const highWatermarks = new Map([...committed.keys()].map((name) => [name, ranges.get(name)?.high ?? 0]));
    return { producer, snapshots, objects, task, from, heldFrom, committed, logStarts, highWatermarks, fromSnapshot };
  } catch (error) {
    await opened.close();
    await producer.close();
    throw error;
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
