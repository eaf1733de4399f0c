import type { Output } from './topology.js';

/** How an input of a task stands, as far as its process knows. */
export interface InputPace {
  readonly topic: string;
  readonly partition: number;
  /** There is something to fold that has not been folded: in memory, or still in the log. */
  readonly hasMore: boolean;
  /** It goes on behind what this run is given to fold: it is not idle, however long nothing comes. @default false */
  readonly goesOn?: boolean;
}

/** Is there more to come, now or behind the end of a replay? */
export function mayHaveMore({ hasMore, goesOn }: InputPace): boolean {
  return hasMore || goesOn === true;
}

/** What came of the time that passed. */
export interface Passed {
  /** Call again after so long even where nothing comes in, ms; Infinity: only then. */
  readonly againInMs: number;
  /** Is there something to commit? */
  readonly hasFired: boolean;
}

/** Nothing is waited for. */
export const NOTHING_DUE: Passed = { againInMs: Number.POSITIVE_INFINITY, hasFired: false };

/**
 * What a task does because time has passed. Time is not part of the fold, so what it leads to has to be known in another
 * way: as the event time up to which timers have been fired, which is committed with the offsets. State, and which records
 * have been answered, are functions of the two.
 */
export interface TaskTimers {
  /**
   * Event time up to which timers have been fired, committed with the offsets; null where none has been, undefined where the
   * task has no such time.
   */
  readonly firedThrough: number | null | undefined;
  /** What was committed with the offsets that the task starts from; called before anything is restored or folded. */
  resume(firedThrough: number | null | undefined): void;
  /**
   * Called once before the first live record, and from then on between records: at least when it is due.
   *
   * @param elapsedMs wall time since the last call; 0 at the first.
   */
  pass(elapsedMs: number, inputs: readonly InputPace[], output: Output): Passed;
  /** Records that are folded and wait to be answered, and how many were answered before their turn since the task began. */
  readonly waiting: number;
  readonly early: number;
}

/** Fired-through time as metadata of an offset. */
export function encodeFiredThrough(firedThrough: number | null | undefined): string {
  return firedThrough === undefined ? '' : JSON.stringify({ firedThrough });
}

/** What was committed with the offsets of a task; all of them say the same. */
export function decodeFiredThrough(metadata: readonly string[]): number | null | undefined {
  const said = metadata.find((text) => text.startsWith('{"firedThrough":'));
  return said === undefined ? undefined : (JSON.parse(said) as { firedThrough: number | null }).firedThrough;
}
