import { greaterChange, type ValueChange } from '../../contracts/healing.js';
import { TidemillError } from '../../contracts/errors.js';
import type { CompiledView } from '../../features/compiledView.js';
import { createViewOperator } from '../../features/operator/createViewOperator.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import type { OnlineStore } from '../../stores/online/onlineStore.js';
import type { LackingEvent } from './corrections.js';

/** Entries read at a time: bounds what is decoded at once. */
const BATCH_KEYS = 200;

export interface ComparerOptions {
  readonly project: string;
  readonly view: CompiledView;
  readonly store: OnlineStore;
  readonly partition: number;
  /** The store must have been written up to here: in the stream, and in the topic of corrections. */
  readonly offset: number;
  readonly corrections: number;
  /** Event time at which values are compared, ms. */
  readonly at: number;
}

/** What the store lacks of some events. */
export interface Lacking {
  readonly events: readonly LackingEvent[];
  readonly change: ValueChange | null;
}

/**
 * Holds events against the entries of their keys, as the stream's own operator sees them: an event is lacking where it could
 * still be inserted. So a repetition of one that is there lacks nothing, nor does one that a correction has inserted.
 *
 *   entry of the store ──▶ operator ◀── corrections that are on their way ◀── events: inserted means lacking
 */
export class EntryComparer {
  /** Corrections of keys that the store need not have yet. */
  private readonly onTheirWay = new Map<Value, LoggedEvent[]>();
  private readonly before: Float64Array;
  private readonly after: Float64Array;

  constructor(private readonly options: ComparerOptions) {
    this.before = new Float64Array(options.view.features.length);
    this.after = new Float64Array(options.view.features.length);
  }

  /** A correction of this event is written: it is lacking no more, whether the store has it yet or not. */
  add(event: LoggedEvent): void {
    const key = event.values[this.options.view.key] as Value;
    const known = this.onTheirWay.get(key);
    if (known === undefined) this.onTheirWay.set(key, [event]);
    else known.push(event);
  }

  /**
   * @param checkpoint called between reads.
   * @throws TidemillError ONLINE_UNAVAILABLE, ONLINE_INCOMPLETE, STATE_CORRUPT
   */
  async compare(events: readonly LackingEvent[], checkpoint: () => Promise<void>): Promise<Lacking> {
    const { project, view, store } = this.options;
    const byKey = new Map<Value, LackingEvent[]>();
    for (const each of events) {
      const key = each.event.values[view.key] as Value;
      const known = byKey.get(key);
      if (known === undefined) byKey.set(key, [each]);
      else known.push(each);
    }
    const keys = [...byKey.keys()];
    const found: { events: LackingEvent[]; change: ValueChange | null } = {
      events: [],
      change: null,
    };
    for (let at = 0; at < keys.length; at += BATCH_KEYS) {
      await checkpoint();
      const batch = keys.slice(at, at + BATCH_KEYS);
      const { entries, marks } = await store.read({ project, name: view.name, hash: view.hash }, batch);
      this.requireWritten(marks.get(this.options.partition));
      for (const [index, key] of batch.entries()) {
        const { lacking, change } = this.compareKey(key, entries[index]?.chunks ?? [], byKey.get(key) ?? []);
        if (lacking.length === 0) continue;
        found.events.push(...lacking);
        found.change = greaterChange(found.change, change);
      }
    }
    return found;
  }

  /** An entry that is missing since the store was flushed is no event that is lacking. */
  private requireWritten(mark: { readonly offset: number; readonly corrections: number } | undefined): void {
    const { view, store, partition, offset, corrections } = this.options;
    if (mark !== undefined && mark.offset >= offset && mark.corrections >= corrections) return;
    throw new TidemillError(
      'ONLINE_INCOMPLETE',
      `${view.name}: ${store.place} has not been written up to offset ${offset} of partition ${partition}`,
      { view: view.name, partition, wanted: offset, marked: mark?.offset ?? null },
    );
  }

  private compareKey(
    key: Value,
    chunks: readonly Uint8Array[],
    events: readonly LackingEvent[],
  ): { lacking: readonly LackingEvent[]; change: ValueChange | null } {
    const { view, at } = this.options;
    // One key at a time: what was held of another is let go.
    const operator = createViewOperator(view);
    const insert = ({ time, id, values, partition, offset }: LoggedEvent): boolean =>
      operator.insert(key, time, id, values, partition, offset) === 'inserted';
    if (chunks.length > 0) operator.decodeKey(key, ...chunks);
    operator.valuesAt(key, at, null, false, this.before, 0);
    for (const event of this.onTheirWay.get(key) ?? []) insert(event);
    const lacking = events.filter(({ event }) => insert(event));
    if (lacking.length === 0) return { lacking, change: null };
    operator.valuesAt(key, at, null, false, this.after, 0);
    return { lacking, change: this.greatestChange(key) };
  }

  private greatestChange(key: Value): ValueChange | null {
    const { features } = this.options.view;
    let greatest: ValueChange | null = null;
    for (const [at, { name }] of features.entries()) {
      const change = {
        key: key as number | string | boolean,
        feature: name,
        before: knownOf(this.before[at]),
        after: knownOf(this.after[at]),
      };
      if (change.before !== change.after) greatest = greaterChange(greatest, change);
    }
    return greatest;
  }
}

/** Vectors have NaN for null. */
function knownOf(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : value;
}
