import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  greaterChange,
  type HealedPart,
  type HealPart,
  type HealSource,
  type ValueChange,
} from '../../contracts/healing.js';
import type { CompiledView } from '../../features/compiledView.js';
import { finiteOrNull } from '../../features/finiteOrNull.js';
import type { Value } from '../../features/types.js';
import type { OnlineStore } from '../../stores/online/onlineStore.js';
import { eventOf } from '../audit/keyedEvents.js';
import { correctionsFrom, takeCorrections, writeCorrections, type LackingEvent } from './corrections.js';
import { EntryComparer } from './entryComparer.js';
import { onlineMarkOf } from './onlineMarks.js';
import { recordsOf, type StreamSource } from './streamPart.js';

/** Events held at a time. */
const CHUNK_EVENTS = 10_000;

export interface PartHealing {
  readonly source: StreamSource;
  readonly view: CompiledView;
  readonly store: OnlineStore;
  readonly checkpoint: () => Promise<void>;
  /** Chaos tests end the process at a named point. */
  readonly reach?: (point: string) => void;
}

/**
 * Heals one part of a view's stream. A repetition, after a crash say, writes nothing twice, nor does another healing beside it:
 *
 *   1 what is on its way: corrections that the store's mark does not cover yet
 *   2 for each chunk of events: those that count, 3 held against the store's entries and against 1
 *   4 fence: whoever else writes these corrections can commit no more, and what he did is visible: that lacks no more
 *   5 what is lacking is written in one transaction, and from then on is on its way
 *
 * @param newestBefore greatest event time before the part, ms; null where there was none.
 * @throws TidemillError ONLINE_UNAVAILABLE, ONLINE_INCOMPLETE, OFFSET_LOST; PRODUCER_FENCED where another one writes just now
 */
export async function healPart(
  { source, view, store, checkpoint, reach }: PartHealing,
  plan: HealSource,
  part: HealPart,
  newestBefore: number | null,
): Promise<HealedPart> {
  const { log, project } = source;
  const place = { project, view, partition: part.partition };
  // 1
  const mark = await onlineMarkOf(store, project, view, part.partition);
  const comparer = new EntryComparer({
    project,
    view,
    store,
    partition: part.partition,
    offset: part.to,
    corrections: mark.corrections,
    at: plan.at,
  });
  let read = mark.corrections;
  await takeIn();

  const forgotten = mark.watermark === null ? Number.NEGATIVE_INFINITY : mark.watermark - view.keepMs;
  const after = Math.max(forgotten, (plan.from ?? Number.NEGATIVE_INFINITY) - 1);
  const until = plan.to ?? Number.POSITIVE_INFINITY;
  let newest = newestBefore ?? Number.NEGATIVE_INFINITY;
  let chunk: LackingEvent[] = [];
  const sum = { compared: 0, lacking: 0, inTime: 0 };
  const keys = new Set<Value>();
  let change: ValueChange | null = null;
  for await (const records of recordsOf(source, part)) {
    await checkpoint();
    for (const record of records) {
      const event = eventOf(view.stream, record);
      if (event === null) continue;
      const isLate = event.time < newest - view.stream.allowedLatenessMs;
      newest = Math.max(newest, event.time);
      // 2
      if (event.time <= after || event.time >= until || event.values[view.key] === null) continue;
      if (chunk.push({ event, text: record.value?.toString('utf8') ?? '', isLate }) === CHUNK_EVENTS) await heal();
    }
  }
  await heal();
  return { ...sum, keys: keys.size, change, newest: finiteOrNull(newest) };

  async function heal(): Promise<void> {
    const events = chunk;
    chunk = [];
    // 3
    const found = await comparer.compare(events, async () => {
      await nextTurn();
      await checkpoint();
    });
    const lacking = plan.isPlan ? found.events : await write(found.events);
    for (const { event } of lacking) {
      comparer.add(event);
      keys.add(event.values[view.key] as Value);
    }
    sum.compared += events.length;
    sum.lacking += lacking.length;
    sum.inTime += lacking.filter(({ isLate }) => !isLate).length;
    change = greaterChange(change, found.change);
  }

  /** What was written of what was found lacking. */
  async function write(found: readonly LackingEvent[]): Promise<readonly LackingEvent[]> {
    if (found.length === 0) return found;
    // 4
    const producer = await takeCorrections(log, place);
    try {
      const others = await takeIn();
      const lacking = found.filter(({ event }) => !others.has(event.offset));
      // 5
      reach?.('heal/before-write');
      await writeCorrections(producer, place, lacking);
      reach?.('heal/after-write');
      return lacking;
    } finally {
      await producer.close();
    }
  }

  /** Takes in the corrections that came since; gives the offsets of their events, which are of this partition. */
  async function takeIn(): Promise<ReadonlySet<number>> {
    const offsets = new Set<number>();
    for await (const { at, event } of correctionsFrom(log, place, read)) {
      comparer.add(event);
      offsets.add(event.offset);
      read = at + 1;
    }
    return offsets;
  }
}
