import { messageOf, TidemillError } from '../contracts/errors.js';
import type { CompiledField, CompiledStream } from './compiledView.js';
import type { EventId, StreamEvent, Value } from './types.js';
import { powerOfTen } from './vector.js';

/**
 * One record's bytes as a checked event. Fields that the contract does not name are ignored; a field that is absent is
 * null. Timestamps are integer ms UTC or ISO 8601 text.
 *
 * @throws TidemillError EVENT_MALFORMED: not a JSON object; EVENT_FIELD_INVALID: a value is not of the field's type (NaN
 * and infinities cannot be written in JSON, so they arrive malformed or as text); EVENT_INTEGER_UNSAFE: beyond 2^53 - 1.
 */
export function parseEvent(stream: CompiledStream, bytes: Buffer | string | null): StreamEvent {
  if (bytes === null || bytes.length === 0) {
    throw new TidemillError('EVENT_MALFORMED', `${stream.name}: the record has no value`, { stream: stream.name });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(typeof bytes === 'string' ? bytes : bytes.toString('utf8'));
  } catch (error) {
    throw new TidemillError(
      'EVENT_MALFORMED',
      `${stream.name}: not JSON: ${messageOf(error)}`,
      { stream: stream.name },
      { cause: error },
    );
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new TidemillError('EVENT_MALFORMED', `${stream.name}: a JSON object is expected, not ${describe(parsed)}`, {
      stream: stream.name,
    });
  }
  return eventFrom(stream, parsed as Record<string, unknown>);
}

/** The checked event of a JSON object; see parseEvent. */
export function eventFrom(stream: CompiledStream, object: Readonly<Record<string, unknown>>): StreamEvent {
  const { fields } = stream;
  const values = new Array<Value>(fields.length);
  for (let at = 0; at < fields.length; at++) {
    const field = fields[at] as CompiledField;
    values[at] = checkedValue(stream, field, object[field.name]);
  }
  return { time: values[stream.eventTime] as number, id: values[stream.eventId] as EventId, values };
}

/**
 * @param logTimestampMs the record's timestamp in the log.
 * @throws TidemillError EVENT_TIME_IN_FUTURE where the event's time is more than `maxFuture` ahead of it.
 */
export function checkFuture(stream: CompiledStream, time: number, logTimestampMs: number): void {
  if (time - logTimestampMs <= stream.maxFutureMs) return;
  throw new TidemillError(
    'EVENT_TIME_IN_FUTURE',
    `${stream.name}: event time ${isoTime(time)} is ${time - logTimestampMs} ms ahead of its log timestamp; at most ${stream.maxFutureMs} ms are allowed`,
    { stream: stream.name, time, logTimestampMs, maxFutureMs: stream.maxFutureMs },
  );
}

/** ISO 8601 of a time, or the number itself where a Date cannot hold it. */
function isoTime(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}

/** The JSON text of an event, read back as itself: times as integer ms, decimal(s) as value / 10^s. */
export function formatEvent(stream: CompiledStream, event: Pick<StreamEvent, 'values'>): string {
  const object: Record<string, unknown> = {};
  for (const [at, { name, type }] of stream.fields.entries()) {
    const value = event.values[at] as Value;
    object[name] = type.kind === 'decimal' && value !== null ? (value as number) / powerOfTen(type.scale) : value;
  }
  return JSON.stringify(object);
}

/** A raw JSON value in the in-memory form of a field. @throws TidemillError EVENT_FIELD_INVALID, EVENT_INTEGER_UNSAFE */
export function checkedValue(stream: CompiledStream, field: CompiledField, raw: unknown): Value {
  if (raw === undefined || raw === null) {
    if (field.nullable) return null;
    throw invalid(stream, field, raw, 'is required');
  }
  switch (field.type.kind) {
    case 'int':
      return checkedInteger(stream, field, raw);
    case 'decimal':
      return checkedDecimal(stream, field, raw, field.type.scale);
    case 'double':
      if (typeof raw !== 'number' || !Number.isFinite(raw)) throw invalid(stream, field, raw, 'is not a finite number');
      return raw + 0;
    case 'bool':
      if (typeof raw !== 'boolean') throw invalid(stream, field, raw, 'is not true or false');
      return raw;
    case 'string':
      if (typeof raw !== 'string') throw invalid(stream, field, raw, 'is not a string');
      return raw;
    case 'timestamp':
      return checkedTime(stream, field, raw);
  }
}

function checkedInteger(stream: CompiledStream, field: CompiledField, raw: unknown): number {
  if (typeof raw !== 'number' || !Number.isFinite(raw)) throw invalid(stream, field, raw, 'is not an integer');
  if (!Number.isSafeInteger(raw)) {
    if (Number.isInteger(raw)) throw unsafe(stream, field, raw);
    throw invalid(stream, field, raw, 'is not an integer');
  }
  return raw + 0;
}

/** Accepted iff r = round(x * 10^s) gives r / 10^s === x: 12.34 is a decimal(2), 12.345 is not. */
function checkedDecimal(stream: CompiledStream, field: CompiledField, raw: unknown, scale: number): number {
  if (typeof raw !== 'number' || !Number.isFinite(raw)) throw invalid(stream, field, raw, `is not a decimal(${scale})`);
  const factor = powerOfTen(scale);
  const scaled = Math.round(raw * factor);
  if (!Number.isSafeInteger(scaled)) throw unsafe(stream, field, raw);
  if (scaled / factor !== raw) throw invalid(stream, field, raw, `has more than ${scale} decimals`);
  return scaled + 0;
}

const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;

function checkedTime(stream: CompiledStream, field: CompiledField, raw: unknown): number {
  if (typeof raw === 'string') {
    const time = ISO_TIME.test(raw) ? Date.parse(raw) : Number.NaN;
    if (Number.isNaN(time)) throw invalid(stream, field, raw, 'is not an ISO 8601 time with a zone');
    return time;
  }
  return checkedInteger(stream, field, raw);
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function invalid(stream: CompiledStream, field: CompiledField, value: unknown, problem: string): TidemillError {
  const path = `${stream.name}.${field.name}`;
  return new TidemillError(
    'EVENT_FIELD_INVALID',
    value === undefined || value === null ? `${path} ${problem}` : `${path}: ${describe(value)} ${problem}`,
    { stream: stream.name, field: field.name, value },
  );
}

function unsafe(stream: CompiledStream, field: CompiledField, value: unknown): TidemillError {
  return new TidemillError(
    'EVENT_INTEGER_UNSAFE',
    `${stream.name}.${field.name}: ${describe(value)} lies beyond 2^53 - 1, where digits are lost`,
    { stream: stream.name, field: field.name, value },
  );
}
