import type { CompiledStream } from './compiledView.js';
import type { Expression } from './expression.js';
import type { ValueType } from './types.js';

/**
 * Windows over an event stream, as the stream runtime runs them. Times are ms UTC; aligned windows end at multiples of
 * `everyMs`, counted from 1970-01-01T00:00Z:
 *
 *   tumbling 10m     [10:00 ········ 10:10)[10:10 ········ 10:20)
 *   hopping 10m/5m   [10:00 ········ 10:10)
 *                             [10:05 ········ 10:15)
 *   session gap 5m        10:01 · 10:03 ·· 10:07 ) 10:12        10:14 ·· … one session [10:01, 10:12), another from 10:14
 */
export type WindowShape =
  /** [end - length, end) for every end that is a multiple of `everyMs`; tumbling where both are equal. */
  | { readonly kind: 'aligned'; readonly lengthMs: number; readonly everyMs: number }
  /** Events of a key whose neighbours are less than the gap apart; it ends one gap after its last event. */
  | { readonly kind: 'session'; readonly gapMs: number };

export type WindowAggregateName = 'count' | 'sum' | 'mean' | 'min' | 'max' | 'first' | 'last' | 'distinctCount';

export interface CompiledWindowAggregate {
  readonly name: string;
  readonly aggregate: WindowAggregateName;
  /** What is aggregated, over the fields of the event; null for count() of events. */
  readonly input: Expression | null;
  /** Only events for which this is true; null for all. */
  readonly where: Expression | null;
  /** Type of the result. */
  readonly type: ValueType;
}

export interface CompiledWindows {
  readonly kind: 'windows';
  readonly name: string;
  readonly hash: string;
  readonly stream: CompiledStream;
  /** Index in `stream.fields` of the field that results are grouped by. */
  readonly key: number;
  readonly shape: WindowShape;
  readonly aggregates: readonly CompiledWindowAggregate[];
  /** `onClose`: one result when the watermark reaches the window's end; `onUpdate`: one per commit that changed it. */
  readonly emit: 'onClose' | 'onUpdate';
  /** How far behind the watermark a late event still counts and has its windows told again; 0: late events are dropped. */
  readonly reviseMs: number;
  /** May a record with the time, id and topic key of an earlier one count again? */
  readonly countsDuplicates: boolean;
  /** Name of the output topic within the project. */
  readonly to: string;
}
