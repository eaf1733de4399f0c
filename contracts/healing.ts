/** What workflows say about the healing of a view: plain types, so that workflow code may import them. */

/** Input of `healFeatures`; all but the view optional. */
export interface HealInput {
  readonly view: string;
  /** Event times [from, to), ISO 8601. @default all that the view still keeps */
  readonly from?: string;
  readonly to?: string;
  /** Only say what is lacking. @default false */
  readonly plan?: boolean;
}

/** What a healing compares, fixed at its start. */
export interface HealSource {
  readonly view: string;
  /** Hash of the view: another definition has other entries. */
  readonly hash: string;
  /** Event times [from, to), ms, that count; null where nothing bounds them. */
  readonly from: number | null;
  readonly to: number | null;
  /** Event time at which values are compared, ms. */
  readonly at: number;
  /** Only say what is lacking. */
  readonly isPlan: boolean;
}

/** A stretch of one partition of the view's stream. */
export interface HealPart {
  readonly partition: number;
  /** Offsets [from, to). */
  readonly from: number;
  readonly to: number;
}

export interface HealPlan {
  readonly source: HealSource;
  /** By partition, its parts one after the other. */
  readonly parts: readonly (readonly HealPart[])[];
  /** End of the topic of corrections by partition: what lies behind it was written by this healing. */
  readonly corrections: Readonly<Record<string, number>>;
  /** Offsets that are neither in the log nor in the archive any more, and were not looked at. */
  readonly lost: number;
}

/** The greatest difference that lacking events make to a value; null for a value that is null. */
export interface ValueChange {
  readonly key: number | string | boolean;
  readonly feature: string;
  readonly before: number | null;
  readonly after: number | null;
}

export interface HealedPart {
  /** Events that were held against the online store. */
  readonly compared: number;
  /** Events that it lacks and that no correction was written for; those in time among them. */
  readonly lacking: number;
  readonly inTime: number;
  /** Keys of these events. */
  readonly keys: number;
  readonly change: ValueChange | null;
  /** Greatest event time up to the end of the part, ms; null where there was no event. What comes next is late by it. */
  readonly newest: number | null;
}

/** Corrections that this healing has written, once they are in the online store. */
export interface HealedEvents {
  readonly events: number;
  readonly inTime: number;
  readonly keys: number;
}

export interface HealResult extends HealedEvents {
  /** `planned`: nothing was written. */
  readonly outcome: 'healed' | 'planned';
  readonly view: string;
  readonly hash: string;
  readonly compared: number;
  readonly lost: number;
  /** As the events were found; what a part had written before it was repeated is not in it. Null where no value changes. */
  readonly change: ValueChange | null;
}

/** Parts of a healing at most: each is a line of its history. */
export const MAX_HEAL_PARTS = 1_000;

/** Id of a healing: one of a view runs at a time. */
export function healId(project: string, { view }: HealInput): string {
  return `${project}/heal/${view}`;
}

/** By how much a value changes: to and from null is more than any number. */
export function differenceOf({ before, after }: ValueChange): number {
  if (before === null || after === null) return before === after ? 0 : Number.POSITIVE_INFINITY;
  return Math.abs(after - before);
}

/** The greater of two changes; the first of equal ones. */
export function greaterChange(a: ValueChange | null, b: ValueChange | null): ValueChange | null {
  if (a === null || b === null) return a ?? b;
  return differenceOf(b) > differenceOf(a) ? b : a;
}
