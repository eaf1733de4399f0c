import { setTimeout as sleep } from 'node:timers/promises';
import { TidemillError } from '../../contracts/errors.js';
import type { HealedEvents } from '../../contracts/healing.js';
import type { CompiledView } from '../../features/compiledView.js';
import type { Value } from '../../features/types.js';
import type { Log } from '../../stores/log/log.js';
import type { OnlineStore } from '../../stores/online/onlineStore.js';
import { correctionsFrom, takeCorrections } from './corrections.js';
import { onlineMarks } from './onlineMarks.js';

const LOOK_MS = 200;
/** A writer confirms its marks about once a second: one that does not for so long is not there, ms. */
const STALL_MS = 60_000;

export interface CorrectionsWait {
  readonly log: Log;
  readonly project: string;
  readonly view: CompiledView;
  readonly store: OnlineStore;
  readonly checkpoint: () => Promise<void>;
  /** @default 60000 */
  readonly stallMs?: number;
}

/**
 * Waits until all corrections are in the online store, and counts those from given offsets on: from the topic, so that none
 * counts twice whoever wrote it.
 *
 * @throws TidemillError CORRECTIONS_WAITING where the marks stand still for a minute.
 */
export async function awaitCorrections(
  { log, project, view, store, checkpoint, stallMs = STALL_MS }: CorrectionsWait,
  from: Readonly<Record<string, number>>,
): Promise<HealedEvents> {
  const sum = { events: 0, inTime: 0 };
  const keys = new Set<Value>();
  const ends = new Map<number, number>();
  for (const [text, first] of Object.entries(from)) {
    const partition = Number(text);
    const place = { project, view, partition };
    // Whatever was written is visible from here on.
    await (await takeCorrections(log, place)).close();
    for await (const { at, event, inTime } of correctionsFrom(log, place, first)) {
      sum.events++;
      if (inTime) sum.inTime++;
      keys.add(event.values[view.key] as Value);
      ends.set(partition, at + 1);
    }
    await checkpoint();
  }
  let seen = '';
  let waited = 0;
  for (;;) {
    const marks = await onlineMarks(store, project, view);
    const missing = [...ends].filter(([partition, end]) => (marks.get(partition)?.corrections ?? -1) < end);
    if (missing.length === 0) return { ...sum, keys: keys.size };
    const state = JSON.stringify([...marks]);
    waited = state === seen ? waited + LOOK_MS : 0;
    seen = state;
    if (waited >= stallMs) {
      throw new TidemillError(
        'CORRECTIONS_WAITING',
        `${view.name}: nobody takes the corrections of partition ${missing.map(([partition]) => partition).join(', ')} in`,
        { view: view.name, partitions: missing.map(([partition]) => partition), waitedMs: waited },
      );
    }
    await checkpoint();
    await sleep(LOOK_MS);
  }
}
