import { foldSilently } from './foldRecord.js';
import type { LiveHost } from './liveTask.js';
import type { Recovery } from './recover.js';
import type { TaskContext } from './taskContext.js';
import type { TaskInputs } from './taskInputs.js';

/** Records between two turns of the event loop, and of what waits for room. */
const RECORDS_PER_TURN = 1_000;

/**
 * Step 6 of a recovery: folds what lies below the committed offsets, without outputs. A stop ends it wherever it is.
 *
 * @param onReplayed told how many records that are so far.
 * @throws TidemillError of the archive, where records come from there
 */
export async function replaySilently(
  { options, id }: TaskContext,
  recovery: Recovery,
  inputs: TaskInputs,
  host: LiveHost,
  onReplayed: (records: number) => void,
): Promise<void> {
  const { task, committed } = recovery;
  const isBelow = (): boolean =>
    inputs.inputs.some((input) => inputs.nextOffset(input) < (committed.get(input.name) as number));
  let replayed = 0;
  while (!host.isStopping() && isBelow()) {
    host.look();
    const next = inputs.takeBelow(committed);
    if (next === null) {
      // What was paused for its size may be all that is missing.
      host.resumeDrained();
      await host.signal(Number.POSITIVE_INFINITY);
      continue;
    }
    if (!('failure' in next)) foldSilently(recovery, next);
    onReplayed(++replayed);
    if (replayed % RECORDS_PER_TURN !== 0) continue;
    options.reach?.('in-replay', id);
    task.forget?.();
    host.resumeDrained();
    await host.clock.turn();
  }
}
