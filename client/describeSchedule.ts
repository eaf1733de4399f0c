import type { ScheduleDescription, ScheduleOptions } from '@temporalio/client';
import { auditId, type AuditInput } from '../contracts/consistency.js';
import { healId, type HealInput } from '../contracts/healing.js';
import { formatDuration } from '../contracts/duration.js';
import {
  scheduleId,
  type ScheduleCalendar,
  type ScheduleOverlap,
  type ScheduleRange,
  type ScheduleText,
  type WantedSchedule,
} from '../contracts/schedules.js';
import { lifecycleQueue, retrainId, type RetrainInput } from '../contracts/workflows.js';

const MONTHS = [
  'JANUARY',
  'FEBRUARY',
  'MARCH',
  'APRIL',
  'MAY',
  'JUNE',
  'JULY',
  'AUGUST',
  'SEPTEMBER',
  'OCTOBER',
  'NOVEMBER',
  'DECEMBER',
] as const;
const DAYS = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'] as const;

const POLICIES = { skip: 'SKIP', buffer: 'BUFFER_ONE', cancel: 'CANCEL_OTHER' } as const satisfies Record<
  ScheduleOverlap,
  string
>;

/** What a schedule starts; the server appends the time to the id. */
function startedBy(
  project: string,
  wanted: WantedSchedule,
): { workflowType: string; workflowId: string; args: [RetrainInput | AuditInput | HealInput] } {
  const { model } = wanted;
  if (wanted.does === 'heal') {
    const args: [HealInput] = [{ view: wanted.view }];
    return { workflowType: 'healFeatures', workflowId: `${healId(project, args[0])}/schedule`, args };
  }
  if (wanted.does === 'audit') {
    const args: [AuditInput] = [{ model, sample: wanted.sample }];
    return { workflowType: 'consistencyAudit', workflowId: auditId(project, model, 'schedule'), args };
  }
  const args: [RetrainInput] = [{ model, trigger: { kind: 'schedule' } }];
  return { workflowType: 'retrainModel', workflowId: retrainId(project, model, 'schedule'), args };
}

/** What a schedule is for, as its id says it. */
export function whatOf(wanted: WantedSchedule): string {
  return wanted.does === 'heal' ? `heal/${wanted.view}` : wanted.does;
}

/** The Temporal Schedule of a model: everything that could be left to a default is said. */
export function scheduleOptions(project: string, wanted: WantedSchedule) {
  const { model, spec } = wanted;
  return {
    scheduleId: scheduleId(project, model, whatOf(wanted)),
    spec: {
      // As calendars, not as a cron text: the server gives a calendar back as it got it, so that it can be compared.
      calendars: spec.kind === 'cron' ? [{ ...calendarSpec(spec.calendar), comment: spec.cron }] : [],
      intervals: spec.kind === 'every' ? [{ every: spec.everyMs, offset: 0 }] : [],
      skip: [],
      jitter: 0,
      timezone: spec.kind === 'cron' ? spec.timezone : 'UTC',
    },
    action: {
      type: 'startWorkflow',
      ...startedBy(project, wanted),
      taskQueue: lifecycleQueue(project),
    },
    policies: { overlap: POLICIES[spec.overlap], catchupWindow: spec.catchUpMs, pauseOnFailure: true },
  } satisfies ScheduleOptions;
}

export type WantedOptions = ReturnType<typeof scheduleOptions>;

/** What of a schedule `tidemill apply` decides, part by part, in a form in which both sides are equal where they mean the same. */
export function partsOfWanted({ spec, action, policies }: WantedOptions): Readonly<Record<string, unknown>> {
  return { ...partsOf(spec, action, policies), bounds: [null, null] };
}

export function partsOfFound({ spec, action, policies }: ScheduleDescription): Readonly<Record<string, unknown>> {
  return {
    ...partsOf(spec, action, policies),
    // A start or an end that somebody set by other means.
    bounds: [spec.startAt?.getTime() ?? null, spec.endAt?.getTime() ?? null],
  };
}

/** @param otherwise names of the parts that differ without its being seen in the words. */
export function wordsOf(
  { spec, policies }: WantedOptions | ScheduleDescription,
  otherwise: readonly string[],
): ScheduleText {
  const intervals = (spec.intervals ?? []).map(({ every }) => `every ${formatDuration(Number(every))}`);
  const calendars = (spec.calendars ?? []).map(({ comment }) => `${comment ?? 'a calendar'} ${zoneOf(spec)}`);
  return {
    times: [...intervals, ...calendars].join(' and ') || 'never',
    overlap: nameOfPolicy(policies.overlap),
    catchUp: formatDuration(policies.catchupWindow),
    otherwise,
  };
}

function partsOf(
  spec: WantedOptions['spec'] | ScheduleDescription['spec'],
  action: WantedOptions['action'] | ScheduleDescription['action'],
  policies: WantedOptions['policies'] | ScheduleDescription['policies'],
): Record<string, unknown> {
  return {
    times: [(spec.calendars ?? []).map(calendarParts), (spec.intervals ?? []).map(intervalParts), zoneOf(spec)],
    skipped: (spec.skip ?? []).length,
    jitter: spec.jitter ?? 0,
    overlap: nameOfPolicy(policies.overlap),
    catchUp: policies.catchupWindow,
    pauseOnFailure: policies.pauseOnFailure,
    workflow: [action.workflowType, action.workflowId, action.taskQueue],
    input: action.args,
  };
}

function calendarSpec({ minute, hour, dayOfMonth, month, dayOfWeek }: ScheduleCalendar) {
  const named = <T>(ranges: readonly ScheduleRange[], nameOf: (value: number) => T) =>
    ranges.map(({ start, end, step }) => ({ start: nameOf(start), end: nameOf(end), step }));
  const itself = (value: number): number => value;
  return {
    second: [{ start: 0, end: 0, step: 1 }],
    minute: named(minute, itself),
    hour: named(hour, itself),
    dayOfMonth: named(dayOfMonth, itself),
    month: named(month, (value) => MONTHS[value - 1] ?? 'JANUARY'),
    dayOfWeek: named(dayOfWeek, (value) => DAYS[value] ?? 'SUNDAY'),
    year: '*' as const,
  };
}

type Calendar = NonNullable<WantedOptions['spec']['calendars'] | ScheduleDescription['spec']['calendars']>[number];

function calendarParts(calendar: Calendar): unknown {
  const { second, minute, hour, dayOfMonth, month, dayOfWeek, year, comment } = calendar;
  // Any year is no range at all for the server.
  const years = year === '*' ? [] : year;
  return [second, minute, hour, dayOfMonth, month, dayOfWeek].map(rangeParts).concat([rangeParts(years), comment]);
}

function rangeParts(ranges: readonly { readonly start: unknown; readonly end: unknown; readonly step: number }[]) {
  return ranges.map(({ start, end, step }) => [start, end, step]) as unknown;
}

function intervalParts({ every, offset }: { readonly every: unknown; readonly offset?: unknown }): unknown {
  return [every, offset ?? 0];
}

function zoneOf({ timezone }: { readonly timezone?: string }): string {
  return timezone === undefined || timezone === '' ? 'UTC' : timezone;
}

function nameOfPolicy(policy: string | undefined): string {
  return Object.entries(POLICIES).find(([, value]) => value === policy)?.[0] ?? policy ?? 'none';
}
