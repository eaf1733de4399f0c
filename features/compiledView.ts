import type { Expression } from './expression.js';
import type { ValueType } from './types.js';

/**
 * Compiled definitions: plain, normalised, serialisable objects that every engine runs (interpreter, DuckDB, operator).
 * Their hash is SHA-256 of their canonical JSON without `hash`, as hex.
 */

export interface CompiledField {
  readonly name: string;
  readonly type: ValueType;
  readonly nullable: boolean;
}

export interface CompiledStream {
  readonly kind: 'stream';
  readonly name: string;
  readonly hash: string;
  /** In declared order; a StreamEvent's `values` follow it. */
  readonly fields: readonly CompiledField[];
  /** Index of the id (int or string, not nullable) and of the event time (timestamp, not nullable) in `fields`. */
  readonly eventId: number;
  readonly eventTime: number;
  /** Index in `fields` of the key by which the topic is partitioned. */
  readonly topicKey: number;
  readonly allowedLatenessMs: number;
  /** How far an event time may be ahead of its log timestamp. */
  readonly maxFutureMs: number;
  readonly personal: readonly string[];
  /** Name of the stream whose events these are labels of; ids are those of the labelled events. */
  readonly labels: string | null;
}

/** Only the sliding window so far: visible events of age `(t - delay) - e.time` in [0, length). */
export interface CompiledWindow {
  readonly kind: 'sliding';
  readonly lengthMs: number;
  readonly delayMs: number;
}

export interface CompiledAggregation {
  readonly aggregate: 'count' | 'sum' | 'mean';
  /** What is aggregated, over the fields of the event; null for count() of events. */
  readonly input: Expression | null;
  /** Only events for which this is true; null for all. */
  readonly where: Expression | null;
  readonly window: CompiledWindow;
  /** count: int; sum of int and bool: int, of decimal(s): decimal(s), of double: double; mean: double. */
  readonly type: ValueType;
}

export interface CompiledFeature {
  readonly name: string;
  readonly type: ValueType;
  /** Over aggregates (op `aggregate`) and literals; a plain aggregate is one node. */
  readonly value: Expression;
  /** Stands in for a null value and makes the status DEFAULTED; literal in in-memory form of `type`. */
  readonly orElse: Expression | null;
}

export interface CompiledView {
  readonly kind: 'view';
  readonly name: string;
  readonly hash: string;
  readonly entity: { readonly name: string; readonly type: ValueType };
  readonly stream: CompiledStream;
  /** Index in `stream.fields` of the entity's value. */
  readonly key: number;
  /**
   * Is the event at the position itself visible? Only where the request is an event of `stream`.
   * With equal times an event sees those with lower ids in both cases.
   */
  readonly includeRequest: boolean;
  /** Longest window plus delay: an event older than this counts for nothing. */
  readonly keepMs: number;
  /** Age beyond which a value is EXPIRED; null for never. */
  readonly ttlMs: number | null;
  /** Distinct; features refer to them by index. */
  readonly aggregations: readonly CompiledAggregation[];
  readonly features: readonly CompiledFeature[];
}

/** Features computed from the request's own fields. */
export interface CompiledRequestView {
  readonly kind: 'request';
  readonly name: string;
  readonly hash: string;
  readonly stream: CompiledStream;
  readonly features: readonly { readonly name: string; readonly type: ValueType; readonly value: Expression }[];
}

export type CompiledInput =
  | { readonly kind: 'request'; readonly view: CompiledRequestView }
  /** `requestKey`: index in the request stream's fields of the value to look up. */
  | { readonly kind: 'view'; readonly view: CompiledView; readonly requestKey: number };

/** What one model reads: fixes order, names and types of its input vector. */
export interface CompiledService {
  readonly kind: 'service';
  readonly name: string;
  readonly hash: string;
  /** The stream whose events are the requests. */
  readonly request: CompiledStream;
  readonly inputs: readonly CompiledInput[];
  /** The vector, in order: features of the inputs one after the other. bool is 0 or 1, decimal(s) is value / 10^s. */
  readonly columns: readonly ServiceColumn[];
}

export interface ServiceColumn {
  /** `VIEW.FEATURE`, or the feature's own name where that is unique in the service. */
  readonly name: string;
  readonly type: ValueType;
  /** Index in `inputs`, and index of the feature within that input's view. */
  readonly input: number;
  readonly feature: number;
}
