import { describe, expect, test } from 'vitest';
import { DAY_MS, HOUR_MS } from '../../../contracts/duration.js';
import { isTidemillError } from '../../../contracts/errors.js';
import type { ScheduleCalendar } from '../../../contracts/schedules.js';
import { fraud } from '../../../examples/fraud/project.js';
import { compileAudit, compileHeal, compileSchedule, type ScheduleOptions } from '../../../models/schedule.js';

const compiled = (options: ScheduleOptions) => compileSchedule('fraud.schedule', options);
const cron = (text: string): ScheduleCalendar => {
  const spec = compiled({ cron: text });
  if (spec.kind !== 'cron') throw new Error('it is no cron');
  return spec.calendar;
};
const range = (start: number, end = start, step = 1) => ({ start, end, step });
const all = {
  minute: [range(0, 59)],
  hour: [range(0, 23)],
  dayOfMonth: [range(1, 31)],
  month: [range(1, 12)],
  dayOfWeek: [range(0, 6)],
};

describe('a schedule', () => {
  test('of an interval skips what overlaps and catches up for a day', () => {
    expect(compiled({ every: '7d' })).toEqual({
      kind: 'every',
      everyMs: 7 * DAY_MS,
      overlap: 'skip',
      catchUpMs: DAY_MS,
    });
  });

  test('of a cron is in UTC, where it does not say otherwise', () => {
    expect(compiled({ cron: ' 0 3 * * * ', overlap: 'buffer', catchUp: '1h' })).toEqual({
      kind: 'cron',
      cron: '0 3 * * *',
      timezone: 'UTC',
      calendar: { ...all, minute: [range(0)], hour: [range(3)] },
      overlap: 'buffer',
      catchUpMs: HOUR_MS,
    });
    expect(compiled({ cron: '0 3 * * *', timezone: 'Europe/Berlin' })).toMatchObject({ timezone: 'Europe/Berlin' });
  });

  test.for<[string, Partial<ScheduleCalendar>]>([
    ['* * * * *', {}],
    ['*/15 8-18 * * mon-FRI', { minute: [range(0, 59, 15)], hour: [range(8, 18)], dayOfWeek: [range(1, 5)] }],
    [
      '5/20 0 1,15 jan-jun/2 *',
      {
        minute: [range(5, 59, 20)],
        hour: [range(0)],
        dayOfMonth: [range(1), range(15)],
        month: [range(1, 6, 2)],
      },
    ],
    ['0 0 * * 7', { minute: [range(0)], hour: [range(0)], dayOfWeek: [range(0)] }],
    ['0 0 * * 5-7', { minute: [range(0)], hour: [range(0)], dayOfWeek: [range(5), range(6), range(0)] }],
  ])('cron %s is a calendar', ([text, expected]) => {
    expect(cron(text)).toEqual({ ...all, ...expected });
  });

  test.for<[string, unknown]>([
    ['fraud.schedule', {}],
    ['fraud.schedule', { every: '7d', cron: '0 3 * * *' }],
    ['fraud.schedule.every', { every: '59s' }],
    ['fraud.schedule.every', { every: '60500ms' }],
    ['fraud.schedule.timezone', { every: '1h', timezone: 'UTC' }],
    ['fraud.schedule.timezone', { cron: '0 3 * * *', timezone: 'Mars/Olympus' }],
    ['fraud.schedule.overlap', { every: '1h', overlap: 'allow' }],
    ['fraud.schedule.catchUp', { every: '1h', catchUp: '9s' }],
    ['fraud.schedule.cron', { cron: '@daily' }],
    ['fraud.schedule.cron', { cron: '0 3 * *' }],
    ['fraud.schedule.cron', { cron: '0 0 3 * * *' }],
    ['fraud.schedule.cron', { cron: '60 3 * * *' }],
    ['fraud.schedule.cron', { cron: '0 24 * * *' }],
    ['fraud.schedule.cron', { cron: '0 3 0 * *' }],
    ['fraud.schedule.cron', { cron: '0 3 * 13 *' }],
    ['fraud.schedule.cron', { cron: '0 3 * * 8' }],
    ['fraud.schedule.cron', { cron: '0 5-3 * * *' }],
    ['fraud.schedule.cron', { cron: '*/0 3 * * *' }],
    ['fraud.schedule.cron', { cron: '0,,1 3 * * *' }],
    ['fraud.schedule.cron', { cron: '0 3 * mon *' }],
    // Some programs start it on every 13th and every Friday, others on Friday the 13th.
    ['fraud.schedule.cron', { cron: '0 3 13 * fri' }],
  ])('is refused at %s: %j', ([path, options]) => {
    let thrown: unknown = null;
    try {
      compiled(options as ScheduleOptions);
    } catch (error) {
      thrown = error;
    }
    expect(isTidemillError(thrown, 'DEFINITION_INVALID')).toBe(true);
    if (isTidemillError(thrown)) expect(thrown.details['path']).toBe(path);
  });
});

describe('the schedule of audits', () => {
  test('is a schedule with a number of vectors', () => {
    expect(compileAudit('fraud.audit', { every: '1d' })).toEqual({
      schedule: compileSchedule('fraud.audit', { every: '1d' }),
      sample: 2_000,
    });
    expect(compileAudit('fraud.audit', { cron: '0 4 * * *', sample: 100_000 }).sample).toBe(100_000);
  });

  test.for<[string, object]>([
    ['fraud.audit.sample', { every: '1d', sample: 0 }],
    ['fraud.audit.sample', { every: '1d', sample: 1.5 }],
    ['fraud.audit.sample', { every: '1d', sample: 100_001 }],
    ['fraud.audit.every', { every: '1s' }],
    ['fraud.audit', { sample: 5 }],
  ])('names %s where %j is no such schedule', ([path, options]) => {
    expect(() => compileAudit('fraud.audit', options as ScheduleOptions)).toThrow(path);
  });
});

describe('a healing by a schedule', () => {
  const { service } = fraud.compiled;

  test('is of the views that the online store keeps, each once', () => {
    const { schedule, views } = compileHeal('fraud.heal', { every: '1d' }, service);
    expect(schedule).toEqual(compiled({ every: '1d' }));
    expect(views).toEqual(['customer_spending', 'terminal_risk']);
  });

  test('of a model without such a view is refused', () => {
    const none = { ...service, inputs: service.inputs.filter(({ kind }) => kind !== 'view') };
    expect(() => compileHeal('fraud.heal', { every: '1d' }, none)).toThrow('fraud.heal');
  });
});
