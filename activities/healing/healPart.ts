import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  greaterChange,
  type HealedPart,
  type HealPart,
  type HealSource,
  type ValueChange,
} from '../../contracts/healing.js';
import type { CompiledView } from '../../features/compiledView.js';
import type { Value } from '../../features/types.js';
import type { TransactionalProducer } from '../../stores/log/log.js';
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
 * Heals one part of a view's stream. A repetition, after a crash say, writes nothing twice:
 *
 *   1 fence: an earlier attempt can write no more, and what it wrote is visible
 *   2 what is on its way: corrections that the store's mark does not cover yet
 *   3 for each chunk of events: those that count, 4 held against the store's entries and against 2
 *   5 what is lacking is written in one transaction, and from then on is on its way
 *
 * @param newestBefore greatest event time before the part, ms; null where there was none.
 * @throws TidemillError ONLINE_UNAVAILABLE, ONLINE_INCOMPLETE, OFFSET_LOST
 */
export async function healPart(
  { source, view, store, checkpoint, reach }: PartHealing,
  plan: HealSource,
  part: HealPart,
  newestBefore: number | null,
): Promise<HealedPart> {
  const { log, project } = source;
  const { partition } = part;
  const place = { project, view, partition };
  // 1
  const producer = plan.isPlan ? null : await takeCorrections(log, place);
  try {
    // 2
    const mark = await onlineMarkOf(store, project, view, partition);
    const comparer = new EntryComparer({
      project,
      view,
      store,
      partition,
      offset: part.to,
      corrections: mark.corrections,
      at: plan.at,
    });
    for await (const { event } of correctionsFrom(log, place, mark.corrections)) comparer.add(event);

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
        // 3
        if (event.time <= after || event.time >= until || event.values[view.key] === null) continue;
        if (chunk.push({ event, text: record.value?.toString('utf8') ?? '', isLate }) === CHUNK_EVENTS) await heal();
      }
    }
    await heal();
    return {
      ...sum,
      keys: keys.size,
      change,
      newest: Number.isFinite(newest) ? newest : null,
    };

    async function heal(): Promise<void> {
      const events = chunk;
      chunk = [];
      // 4
      const lacking = await comparer.compare(events, async () => {
        await nextTurn();
        await checkpoint();
      });
      // 5
      if (producer !== null) await writeChunk(producer, lacking.events);
      for (const { event } of lacking.events) comparer.add(event);
      sum.compared += events.length;
      sum.lacking += lacking.events.length;
      sum.inTime += lacking.events.filter(({ isLate }) => !isLate).length;
      for (const key of lacking.keys) keys.add(key);
      change = greaterChange(change, lacking.change);
    }
  } finally {
    await producer?.close();
  }

  async function writeChunk(to: TransactionalProducer, events: readonly LackingEvent[]): Promise<void> {
    if (events.length === 0) return;
    reach?.('heal/before-write');
    await writeCorrections(to, place, events);
    reach?.('heal/after-write');
  }
}
