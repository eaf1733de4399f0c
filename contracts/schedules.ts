/**
 * When a model is retrained or audited, or its views are healed, without anybody asking. The one thing in a definition, besides `stallAfter`, that
 * goes by wall time: Temporal keeps it.
 */
export type ScheduleSpec = ScheduleTimes & {
  /** What happens when a time comes while the retrain of the last one still runs. */
  readonly overlap: ScheduleOverlap;
  /** A time that was missed while the server was down is made up for, unless it is further back than this, ms. */
  readonly catchUpMs: number;
};

export type ScheduleTimes =
  | { readonly kind: 'every'; readonly everyMs: number }
  | { readonly kind: 'cron'; readonly cron: string; readonly timezone: string; readonly calendar: ScheduleCalendar };

/** Times at which every field matches; a day must match `dayOfMonth` and `dayOfWeek`. */
export interface ScheduleCalendar {
  readonly minute: readonly ScheduleRange[];
  readonly hour: readonly ScheduleRange[];
  readonly dayOfMonth: readonly ScheduleRange[];
  /** 1 is January. */
  readonly month: readonly ScheduleRange[];
  /** 0 is Sunday. */
  readonly dayOfWeek: readonly ScheduleRange[];
}

/** Every `step`th value from `start` to `end`, both included. */
export interface ScheduleRange {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** `skip`: nothing; `buffer`: one retrain starts when the running one ends; `cancel`: it is cancelled first. */
export const SCHEDULE_OVERLAPS = ['skip', 'buffer', 'cancel'] as const;
export type ScheduleOverlap = (typeof SCHEDULE_OVERLAPS)[number];

/** When the vectors that a model served are audited, and how many of them each time. */
export interface AuditSchedule {
  readonly schedule: ScheduleSpec;
  readonly sample: number;
}

/** When the online store is healed, and which views there. */
export interface HealSchedule {
  readonly schedule: ScheduleSpec;
  readonly views: readonly string[];
}

/** A schedule that a project wants: retrains, audits of so many vectors, or the healing of a view. */
export type WantedSchedule = { readonly model: string; readonly spec: ScheduleSpec } & (
  | { readonly does: 'retrain' }
  | { readonly does: 'audit'; readonly sample: number }
  | { readonly does: 'heal'; readonly view: string }
);

/** Everything below this prefix belongs to `tidemill apply` of the project. */
export function schedulePrefix(project: string): string {
  return `${project}/schedule/`;
}
/** @param what `retrain`, `audit`, or `heal/VIEW`. */
export function scheduleId(project: string, model: string, what = 'retrain'): string {
  return `${schedulePrefix(project)}${model}${what === 'retrain' ? '' : `/${what}`}`;
}
/** The model that a schedule of a project is about. */
export function modelOfSchedule(project: string, id: string): string {
  return id.slice(schedulePrefix(project).length).split('/')[0] ?? '';
}

/** What `tidemill apply` does, or would do, about one schedule. */
export interface ScheduleChange {
  readonly id: string;
  readonly model: string;
  readonly change: 'created' | 'changed' | 'unchanged' | 'removed';
  /** In words; null where there was, or will be, none. */
  readonly before: ScheduleText | null;
  readonly after: ScheduleText | null;
  /** A paused schedule stays paused: by hand, or because a retrain failed. */
  readonly paused: boolean;
}

/** A schedule in words. */
export interface ScheduleText {
  /** `every 7d`, `0 3 * * * UTC`. */
  readonly times: string;
  readonly overlap: string;
  readonly catchUp: string;
  /** What else differs from what `tidemill apply` would write: somebody changed it by other means. */
  readonly otherwise: readonly string[];
}

export interface ApplyReport {
  readonly project: string;
  /** False where it only says what it would do. */
  readonly applied: boolean;
  readonly schedules: readonly ScheduleChange[];
  /** Search attributes that the server lacked. */
  readonly searchAttributes: readonly string[];
}
