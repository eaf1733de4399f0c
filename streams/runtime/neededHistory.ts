import { TidemillError } from '../../contracts/errors.js';
import type { TopicPartition } from '../../stores/log/log.js';
import type { TaskContext } from './taskContext.js';
import { partitionName } from './taskInputs.js';
import type { NeededHistory } from './topology.js';

/**
 * What a part is built from must be there from the log's start, but for what counts for nothing.
 *
 * @throws TidemillError OFFSET_LOST
 */
export async function requireHistory(
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
