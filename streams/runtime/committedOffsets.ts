import { TidemillError } from '../../contracts/errors.js';
import type { CommittedOffset, Log, TopicPartition } from '../../stores/log/log.js';
import { processClock, type RuntimeClock } from './clock.js';

const ATTEMPTS = 100;
const ATTEMPT_MS = 100;

/**
 * Committed offsets of a task. That a partition has none is believed only of a coordinator that knows the group's members, of
 * which this process is one: a broker that was killed and starts anew may for a moment answer for groups of which it has loaded
 * nothing, until the first write shows it that (seen with Kafka 4.1: "the state machine of the coordinator is out of sync with
 * the underlying log"). A task that believed it would begin anew, and repeat all that it had told.
 *
 * @throws TidemillError LOG_UNAVAILABLE where the coordinator has known no member for ten seconds
 */
export async function committedOffsets(
  log: Pick<Log, 'committed' | 'groupMembers'>,
  group: string,
  partitions: readonly TopicPartition[],
  clock: RuntimeClock = processClock,
): Promise<readonly CommittedOffset[]> {
  const found = await log.committed(group, partitions);
  if (found.every(({ offset }) => offset !== null)) return found;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if ((await log.groupMembers(group)).length > 0) return log.committed(group, partitions);
    await clock.wait(ATTEMPT_MS).over;
  }
  throw new TidemillError('LOG_UNAVAILABLE', `${group}: its coordinator knows no member of it`, { group });
}
