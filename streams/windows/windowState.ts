import type { CompiledField } from '../../features/compiledView.js';
import type { CompiledWindows } from '../../features/compiledWindows.js';
import type { EventId, Value } from '../../features/types.js';
import type { AggregatePlan } from './aggregatePlan.js';
import type { RowStore } from './rowStore.js';

/** Takes what is to be told about windows. Results come many at once, where windows close: it is a hot path. */
export interface WindowSink {
  /** The aggregates of `row` are those of the window now. */
  result(store: RowStore, row: number, key: Value, start: number, end: number, revision: number): void;
  /** The window that was told under this start is part of another one: sessions that grew together. */
  retract(key: Value, start: number, end: number, revision: number): void;
}

/** One entry of a snapshot. */
export interface StateEntry {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/**
 * The windows of one task: a deterministic fold of events and of the watermark. What is told (and what it costs) depends on
 * `sink`, the state does not: a silent replay passes none.
 *
 * Revisions are a function of the fold, too: -1 while nothing was to be told, then one more with every event that counts.
 */
export interface WindowState {
  /** Folds an event that is in time, or late and still counted. */
  fold(key: Value, time: number, id: EventId, values: readonly Value[], sink: WindowSink | null): void;
  /** No event before `watermark` will come but late ones: closes and forgets windows. */
  advance(watermark: number, sink: WindowSink | null): void;
  /** Tells what changed since the last call, once each. */
  flush(sink: WindowSink): void;
  /** The watermark so far; -Infinity before the first. Part of the state, and kept with it by the task. */
  watermark: number;
  readonly plan: AggregatePlan;
  readonly size: { readonly rows: number };
  /** Entries changed since the last call. */
  snapshot(): Iterable<StateEntry>;
  /** @throws TidemillError STATE_CORRUPT */
  restore(key: string, value: Uint8Array): void;
}

/** What a state is made of. */
export interface WindowStateOptions {
  readonly windows: CompiledWindows;
  /** Of the values that are folded. */
  readonly fields: readonly CompiledField[];
}

/** Cells that every row begins with: the key where it is a number (else 0), and the revision. */
export const KEY_CELL = 0;
export const REVISION_CELL = 1;

/** Is the key a text, held in the first column? */
export function hasTextKey({ stream, key }: CompiledWindows): boolean {
  return (stream.fields[key] as CompiledField).type.kind === 'string';
}
