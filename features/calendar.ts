import type { CalendarPart } from './expression.js';
import { DAY_MS, HOUR_MS } from '../contracts/duration.js';

/** Euclidean remainder: always in [0, divisor), and never -0. */
function modulo(value: number, divisor: number): number {
  const rest = value % divisor;
  return rest < 0 ? rest + divisor : rest + 0;
}

/** A part of `time` (ms UTC) on the calendar of UTC. */
export function utcPart(part: CalendarPart, time: number): number {
  switch (part) {
    case 'hour':
      return Math.floor(modulo(time, DAY_MS) / HOUR_MS);
    case 'minute':
      return Math.floor(modulo(time, HOUR_MS) / 60_000);
    case 'dayOfWeek':
      // 1970-01-01 was a Thursday, ISO day 4.
      return modulo(Math.floor(time / DAY_MS) + 3, 7) + 1;
    case 'year':
      return new Date(time).getUTCFullYear();
    case 'month':
      return new Date(time).getUTCMonth() + 1;
    case 'dayOfMonth':
      return new Date(time).getUTCDate();
  }
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** The same wall-clock reading in `zone` expressed as if it were UTC, ms. */
function wallClock(zone: string, time: number): number {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, format);
  }
  const part: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(time)) part[type] = Number(value);
  return Date.UTC(
    part['year'] as number,
    (part['month'] as number) - 1,
    part['day'],
    part['hour'],
    part['minute'],
    part['second'],
  );
}

/** A part of `time` (ms UTC) on the calendar of an IANA zone. dayOfWeek is ISO: Monday 1 … Sunday 7. */
export function calendarPart(part: CalendarPart, zone: string, time: number): number {
  return utcPart(part, zone === 'UTC' ? time : wallClock(zone, time));
}

/** Is it the name of a zone that this runtime knows? */
export function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
