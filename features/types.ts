/**
 * Types of values and how each is held in memory:
 *
 * | type       | in memory                                   | null |
 * | ---------- | ------------------------------------------- | ---- |
 * | int        | number, safe integer                        | null |
 * | decimal(s) | number, safe integer: the value times 10^s  | null |
 * | double     | number, finite, never -0                    | null |
 * | bool       | boolean                                     | null |
 * | string     | string                                      | null |
 * | timestamp  | number, integer ms UTC                      | null |
 *
 * 12.34 as decimal(2) is held as 1234: sums are exact, and 0.1 + 0.2 is 0.3.
 */
export type ValueType =
  | { readonly kind: 'int' }
  | { readonly kind: 'decimal'; readonly scale: number }
  | { readonly kind: 'double' }
  | { readonly kind: 'bool' }
  | { readonly kind: 'string' }
  | { readonly kind: 'timestamp' };

export type Value = number | string | boolean | null;

/** An event id: compared as numbers, or as UTF-8 bytes. Ids of one stream are all of one kind. */
export type EventId = number | string;

/** A point in the event order. `id: null` stands before any id of the same time. */
export interface Position {
  readonly time: number;
  readonly id: EventId | null;
}

/** One event of a stream, checked against its contract. */
export interface StreamEvent {
  /** Event time, ms UTC. */
  readonly time: number;
  readonly id: EventId;
  /** Values in the order of the stream's fields. */
  readonly values: readonly Value[];
}

/** An event with its place in the log, which decides between records with equal key, time and id. */
export interface LoggedEvent extends StreamEvent {
  readonly partition: number;
  readonly offset: number;
  /** When the log took the record, ms UTC; absent where nobody knows it any more. No value depends on it. */
  readonly appendedAt?: number;
  /** Its header where it is a replayed dead letter. No value depends on it. */
  readonly replay?: string;
}

/** Status of a feature value, in this precedence. */
export const STATUSES = ['MISSING', 'EXPIRED', 'DEFAULTED', 'NULL', 'PRESENT'] as const;
export type Status = (typeof STATUSES)[number];
