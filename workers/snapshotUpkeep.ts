import { HOUR_MS } from '../contracts/duration.js';
import { messageOf } from '../contracts/errors.js';
import { pruneLocalSnapshots } from './pruneSnapshots.js';
import { createSnapshotNeeds, type SnapshotNeedsOptions } from './snapshotNeeds.js';

/** Time between two looks, ms. */
const LOOK_MS = HOUR_MS;

export interface SnapshotUpkeepOptions extends Omit<SnapshotNeedsOptions, 'graceMs'> {
  /** Where this machine's workers keep their state. */
  readonly directory: string;
  readonly onNote: (text: string) => void;
}

/**
 * Removes snapshots on this machine that no task will read again, at once and then hourly: only a worker sees its own disk.
 * Whatever fails is tried again an hour later.
 */
export function startSnapshotUpkeep(options: SnapshotUpkeepOptions): { stop(): Promise<void> } {
  let look: Promise<void> = Promise.resolve();
  const act = (): void => {
    look = removeUnneeded(options).catch((error: unknown) => {
      options.onNote(`snapshots that nobody needs are looked for again: ${messageOf(error)}`);
    });
  };
  act();
  const timer = setInterval(act, LOOK_MS);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await look;
    },
  };
}

async function removeUnneeded({ directory, onNote, ...options }: SnapshotUpkeepOptions): Promise<void> {
  const needs = createSnapshotNeeds(options);
  const { deleted } = await pruneLocalSnapshots(directory, { needs, nowMs: Date.now(), apply: true });
  for (const { uri, why } of deleted) onNote(`${uri} is removed: ${why}`);
}
