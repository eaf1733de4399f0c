import type { EventId, LoggedEvent, Position } from './types.js';

/**
 * The event order: `(event time, event id)`. Ids compare as numbers, or as UTF-8 bytes; JavaScript's own string order
 * (UTF-16 code units) differs from that above U+FFFF: '\u{10000}' < '\uFFFF' in UTF-16, and after it in UTF-8.
 */
export function compareIds(a: EventId, b: EventId): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return compareUtf8(String(a), String(b));
}

/** -1, 0 or 1 by UTF-8 bytes, without encoding: code points compare as their UTF-8 bytes do. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    // A surrogate belongs to a code point above U+FFFF, so it is after every other unit.
    const leftSurrogate = left >= 0xd800 && left <= 0xdfff;
    const rightSurrogate = right >= 0xd800 && right <= 0xdfff;
    if (leftSurrogate !== rightSurrogate) return leftSurrogate ? 1 : -1;
    return left < right ? -1 : 1;
  }
  return Math.sign(a.length - b.length);
}

/** Order of positions; `id: null` is before every id of the same time. */
export function comparePositions(a: Position, b: Position): number {
  if (a.time !== b.time) return a.time - b.time;
  if (a.id === null || b.id === null) return a.id === b.id ? 0 : a.id === null ? -1 : 1;
  return compareIds(a.id, b.id);
}

/** Order of log places: partition, then offset. Of records with equal key, time and id the lowest counts. */
export function comparePlaces(
  a: Pick<LoggedEvent, 'partition' | 'offset'>,
  b: Pick<LoggedEvent, 'partition' | 'offset'>,
): number {
  return a.partition - b.partition || a.offset - b.offset;
}

/**
 * Rule 2: is event `e` visible at `position`? In its own stream iff e < p in the order, or e <= p with
 * `includeRequest`; an event of another stream iff e.time <= p.time, since ids of different streams do not compare.
 */
export function isVisible(
  event: { readonly time: number; readonly id: EventId },
  position: Position,
  ownStream: boolean,
  includeRequest: boolean,
): boolean {
  if (!ownStream) return event.time <= position.time;
  const order = comparePositions(event, position);
  return order < 0 || (order === 0 && includeRequest);
}
