import { expect, test } from 'vitest';
import { calendarPart, utcPart } from '../../../features/calendar.js';

test('parts of times before 1970 are those of any other time, and never -0', () => {
  // 1969-12-31T19:00 in New York.
  expect(Object.is(calendarPart('minute', 'America/New_York', 0), 0)).toBe(true);
  expect(calendarPart('hour', 'America/New_York', 0)).toBe(19);
  expect(Object.is(utcPart('hour', -86_400_000), 0)).toBe(true);
  expect(Object.is(utcPart('minute', -3_600_000), 0)).toBe(true);
  expect([utcPart('hour', -1), utcPart('minute', -1), utcPart('dayOfWeek', -1)]).toEqual([23, 59, 3]);
});
