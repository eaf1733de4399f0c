import { streamTopic } from '../contracts/topics.js';
import type { EventStream, Schema } from '../features/authoring/index.js';
import type { Kind } from '../features/authoring/valueTypes.js';
import type { CompiledStream } from '../features/compiledView.js';
import { partitionOf } from '../stores/log/partitioner.js';

/** What a field of a kind looks like in an event. Decimals are plain numbers; times are ms UTC or ISO 8601 text. */
export type FieldValue<K extends Kind> = K extends 'bool'
  ? boolean
  : K extends 'string'
    ? string
    : K extends 'timestamp'
      ? number | string
      : number;

/** An event of a stream as its producer would write it; null where a field is nullable. */
export type EventOf<S extends Schema> = { readonly [F in keyof S]: FieldValue<S[F]['kind']> | null };

/** Records on their way to one stream, in the order in which their producer sends them. */
export interface Batch {
  readonly stream: CompiledStream;
  readonly records: readonly { readonly key: string; readonly value: string }[];
}

/** Where a record came to lie in the log. */
export interface Sent {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * Events for one stream, keyed as its producer would key them.
 *
 * @example events(transactions, [{ id: 1, at: '2026-03-01T10:00:00Z', customer: 7, terminal: 3, amount: 12.5 }])
 */
export function events<S extends Schema>(stream: EventStream<S>, all: readonly EventOf<S>[]): Batch {
  return batchOf(stream.compiled, all);
}

export function batchOf(stream: CompiledStream, all: readonly Readonly<Record<string, unknown>>[]): Batch {
  const keyField = stream.fields[stream.topicKey]?.name ?? '';
  return { stream, records: all.map((event) => ({ key: String(event[keyField]), value: JSON.stringify(event) })) };
}

/** Records as they are, for what breaks the contract. */
export function rawEvents(stream: EventStream, key: string, values: readonly string[]): Batch {
  return { stream: stream.compiled, records: values.map((value) => ({ key, value })) };
}

/** One record with its place. */
export interface PlacedRecord {
  /** Event time, ms UTC; null where it has none that can be read. */
  readonly time: number | null;
  readonly topic: string;
  readonly partition: number;
  readonly key: string;
  readonly value: string;
}

export function placed(project: string, partitions: number, { stream, records }: Batch): PlacedRecord[] {
  const topic = streamTopic(project, stream.name);
  return records.map(({ key, value }) => {
    return { time: timeOf(stream, value), topic, partition: partitionOf(key, partitions), key, value };
  });
}

function timeOf(stream: CompiledStream, value: string): number | null {
  const field = stream.fields[stream.eventTime]?.name ?? '';
  try {
    const raw = (JSON.parse(value) as Readonly<Record<string, unknown>> | null)?.[field];
    const time = typeof raw === 'string' ? Date.parse(raw) : raw;
    return typeof time === 'number' && Number.isSafeInteger(time) ? time : null;
  } catch {
    // Broken on purpose: it comes now.
    return null;
  }
}
