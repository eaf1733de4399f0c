import {
  SCHEDULE_OVERLAPS,
  type AuditSchedule,
  type HealSchedule,
  type ScheduleCalendar,
  type ScheduleOverlap,
  type ScheduleRange,
  type ScheduleSpec,
  type ScheduleTimes,
} from '../contracts/schedules.js';
import { DEFAULT_AUDIT_SAMPLE, MAX_AUDIT_SAMPLE } from '../contracts/consistency.js';
import { DAY_MS, durationMs } from '../contracts/duration.js';
import type { CompiledService } from '../features/compiledView.js';
import { definitionError } from '../features/authoring/names.js';

/** When a model is retrained; wall time. */
export type ScheduleOptions = (
  | {
      /** An interval of at least one minute, counted from 1970-01-01 UTC: `7d` is Thursday, midnight. */
      readonly every: string;
    }
  | {
      /**
       * Minute, hour, day of the month, month, weekday (0 and 7 are Sunday): `0 3 * * *`, `30 8-18 * * mon-fri`. Of day
       * of the month and weekday only one may be restricted: programs differ in what both together mean.
       */
      readonly cron: string;
      /** IANA name. @default 'UTC' */
      readonly timezone?: string;
    }
) & {
  /** What happens when a time comes while the last retrain still runs. @default 'skip' */
  readonly overlap?: ScheduleOverlap;
  /** How far back a time that the server missed may be and is still made up for; at least `10s`. @default '1d' */
  readonly catchUp?: string;
};

/** When a model's served vectors are audited; wall time. */
export type AuditOptions = ScheduleOptions & {
  /** Vectors to recompute each time, 1 to 100,000. @default 2_000 */
  readonly sample?: number;
};

const LEAST_INTERVAL_MS = 60_000;
/** Temporal raises anything below to this. */
const LEAST_CATCH_UP_MS = 10_000;

const FIELDS: readonly { readonly name: keyof ScheduleCalendar; readonly low: number; readonly high: number }[] = [
  { name: 'minute', low: 0, high: 59 },
  { name: 'hour', low: 0, high: 23 },
  { name: 'dayOfMonth', low: 1, high: 31 },
  { name: 'month', low: 1, high: 12 },
  { name: 'dayOfWeek', low: 0, high: 6 },
];

const NAMES: Readonly<Partial<Record<keyof ScheduleCalendar, readonly string[]>>> = {
  month: ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  dayOfWeek: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
};

/** @throws TidemillError DEFINITION_INVALID naming the option at fault */
export function compileSchedule(path: string, options: ScheduleOptions): ScheduleSpec {
  const overlap = options.overlap ?? 'skip';
  if (!SCHEDULE_OVERLAPS.includes(overlap)) {
    throw definitionError(`${path}.overlap`, `${JSON.stringify(overlap)} is none of ${SCHEDULE_OVERLAPS.join(', ')}`);
  }
  const catchUpMs = options.catchUp === undefined ? DAY_MS : durationMs(options.catchUp);
  if (catchUpMs < LEAST_CATCH_UP_MS) throw definitionError(`${path}.catchUp`, 'must be at least 10s');
  return { ...timesOf(path, options), overlap, catchUpMs };
}

/** @throws TidemillError DEFINITION_INVALID naming the option at fault */
export function compileAudit(path: string, options: AuditOptions): AuditSchedule {
  const sample = options.sample ?? DEFAULT_AUDIT_SAMPLE;
  if (!Number.isSafeInteger(sample) || sample < 1 || sample > MAX_AUDIT_SAMPLE)
    throw definitionError(`${path}.sample`, `${sample} is not a whole number of 1 to ${MAX_AUDIT_SAMPLE}`);
  return { schedule: compileSchedule(path, options), sample };
}

/**
 * Views whose stream has another key than theirs are not in the online store.
 *
 * @throws TidemillError DEFINITION_INVALID naming the option at fault
 */
export function compileHeal(path: string, options: ScheduleOptions, { inputs }: CompiledService): HealSchedule {
  const views = new Set(
    inputs.flatMap((input) =>
      input.kind === 'view' && input.view.stream.topicKey === input.view.key ? [input.view.name] : [],
    ),
  );
  if (views.size === 0) throw definitionError(path, 'no view of the model is kept in the online store');
  return { schedule: compileSchedule(path, options), views: [...views] };
}

function timesOf(path: string, options: ScheduleOptions): ScheduleTimes {
  const { every, cron, timezone } = options as Partial<Record<'every' | 'cron' | 'timezone', string>>;
  if ((every === undefined) === (cron === undefined)) {
    throw definitionError(path, 'needs one of `every` and `cron`, and only one');
  }
  if (every !== undefined) {
    if (timezone !== undefined) throw definitionError(`${path}.timezone`, 'is for `cron`: an interval has none');
    const everyMs = durationMs(every);
    // Temporal counts whole seconds.
    if (everyMs < LEAST_INTERVAL_MS || everyMs % 1_000 !== 0)
      throw definitionError(`${path}.every`, `${every} is not a minute or more, in whole seconds`, { value: every });
    return { kind: 'every', everyMs };
  }
  const zone = timezone ?? 'UTC';
  if (!isTimezone(zone)) {
    throw definitionError(`${path}.timezone`, `${JSON.stringify(zone)} is no IANA time zone`, { value: zone });
  }
  const text = (cron as string).trim();
  return { kind: 'cron', cron: text, timezone: zone, calendar: calendarOf(`${path}.cron`, text) };
}

function calendarOf(path: string, cron: string): ScheduleCalendar {
  const texts = cron.split(/\s+/);
  if (texts.length !== FIELDS.length) {
    throw definitionError(path, `${JSON.stringify(cron)} has not five fields, like "0 3 * * *"`, { value: cron });
  }
  if (texts[2] !== '*' && texts[4] !== '*') {
    throw definitionError(path, `${JSON.stringify(cron)} restricts both day of the month and weekday`, { value: cron });
  }
  const calendar: Partial<Record<keyof ScheduleCalendar, readonly ScheduleRange[]>> = {};
  for (const [at, field] of FIELDS.entries()) {
    const text = (texts[at] as string).toLowerCase();
    const ranges = text.split(',').flatMap((part) => rangesOf(part, field) ?? [null]);
    if (ranges.includes(null)) {
      throw definitionError(path, `${text} is no ${field.name} of ${field.low} to ${field.high}`, { value: cron });
    }
    calendar[field.name] = ranges as ScheduleRange[];
  }
  return calendar as ScheduleCalendar;
}

/** The ranges of `*`, `5`, `mon`, `1-5`, any of them with `/2`; null for anything else. */
function rangesOf(text: string, { name, low, high }: (typeof FIELDS)[number]): ScheduleRange[] | null {
  const match = /^(?:(\*)|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(text);
  if (match === null) return null;
  const [, all, first, last, every] = match;
  const step = every === undefined ? 1 : Number(every);
  // Sunday is 0 and 7.
  const top = name === 'dayOfWeek' ? 7 : high;
  const start = all === undefined ? valueOf(name, first as string) : low;
  // As crons read it: a step without an end goes on to the last value.
  const openEnd = all !== undefined || every !== undefined ? high : start;
  const end = last === undefined ? openEnd : valueOf(name, last);
  if (!(start >= low && end <= top && start <= end && step >= 1)) return null;
  if (end < 7 || name !== 'dayOfWeek') return [{ start, end, step }];
  const days = Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, at) => (start + at * step) % 7);
  return days.map((day) => ({ start: day, end: day, step: 1 }));
}

function valueOf(name: keyof ScheduleCalendar, text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const at = NAMES[name]?.indexOf(text) ?? -1;
  return at === -1 ? Number.NaN : at;
}

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
