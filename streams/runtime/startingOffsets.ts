import { TidemillError } from '../../contracts/errors.js';
import { groupId } from '../../contracts/topics.js';
import type { CommittedOffset } from '../../stores/log/log.js';
import type { TaskContext } from './taskContext.js';
import { partitionName } from './taskInputs.js';

/**
 * The committed offsets of a task by partition name; a partition that has none starts where its source says.
 *
 * @param held offsets of the newest snapshot: where there is one, offsets that are missing were lost.
 * @throws TidemillError GROUP_NOT_INITIALISED, OFFSETS_MISSING, OFFSET_AHEAD
 */
export async function startingOffsets(
  context: TaskContext,
  found: readonly CommittedOffset[],
  ranges: ReadonlyMap<string, { readonly low: number; readonly high: number }>,
  held: Readonly<Record<string, number>> | null,
): Promise<ReadonlyMap<string, number>> {
  const { topology, id } = context;
  const committed = new Map<string, number>();
  for (const { topic, partition, offset } of found) {
    const name = partitionName({ topic, partition });
    if (offset !== null) {
      requireReached(name, offset, ranges.get(name)?.high);
      committed.set(name, offset);
      continue;
    }
    if (topology.outlivesOffsets !== true && held !== null && (held[name] ?? 0) > 0) {
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
  return committed;
}

/**
 * Reading would begin at an offset that the topic does not have yet, and what it has by then would be passed over.
 *
 * @throws TidemillError OFFSET_AHEAD
 */
function requireReached(name: string, offset: number, high: number | undefined): void {
  if (high === undefined || offset <= high) return;
  throw new TidemillError('OFFSET_AHEAD', `${name}: offset ${offset} is committed, the topic ends at ${high}`, {
    name,
    offset,
    high,
  });
}

/** Does the group have offsets of the topology's main source? */
async function isInitialised({ topology, options }: TaskContext): Promise<boolean> {
  const topic = topology.sources[0]?.topic ?? '';
  const places = (await options.log.offsets(topic)).map(({ partition }) => ({ topic, partition }));
  return (await options.log.committed(groupId(topology.identity), places)).some(({ offset }) => offset !== null);
}
