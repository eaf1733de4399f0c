import { TidemillError } from '../../../contracts/errors.js';
import type { StoredState } from '../../runtime/storedState.js';
import type { PredictionHalf } from './outcomeHalves.js';

/** What is known of one request: its prediction, its label, or both until no other label may come. */
export interface PendingOutcome {
  readonly prediction: PredictionHalf | null;
  readonly label: { readonly value: number; readonly knownAt: number; readonly isAbsence: boolean } | null;
  /** Of the last outcome that was emitted; -1 before the first. */
  readonly revision: number;
  /** Event time at which something is to be done about it: its label is given up, or it is forgotten. */
  readonly due: number;
}

interface Change {
  readonly row: PendingOutcome | null;
  /** Minute under which the snapshot lists it; null where it does not. */
  readonly storedMinute: number | null;
}

const MINUTE_MS = 60_000;
const ROW = 'r';
const DUE = 'd';
/** Hexadecimal digits of a minute: enough for ten million years. */
const MINUTE_DIGITS = 12;

/**
 * Pending outcomes by event id, on disk but for what changed since the last snapshot: a week of a thousand requests a second
 * is six hundred million of them. An index by the minute in which they are due stands beside them.
 *
 *   get:  changes since the last snapshot -> those being written -> the snapshot
 */
export class PendingOutcomes {
  private changes = new Map<string, Change>();
  private writing = new Map<string, Change>();
  /** Ids by due minute, of rows that the snapshot does not list. */
  private dueInMemory = new Map<number, Set<string>>();

  constructor(private stored: StoredState = NOTHING) {}

  attach(stored: StoredState): void {
    this.stored = stored;
  }

  /** @throws TidemillError STATE_CORRUPT */
  get(id: string): PendingOutcome | null {
    const change = this.changes.get(id) ?? this.writing.get(id);
    return change === undefined ? this.read(id) : change.row;
  }

  set(id: string, row: PendingOutcome | null): void {
    const before = this.changes.get(id);
    const storedMinute = before === undefined ? this.storedMinuteOf(id) : before.storedMinute;
    this.changes.set(id, { row, storedMinute });
    if (row !== null) this.remember(id, minuteOf(row.due));
  }

  /** Ids of rows that are due by the end of a minute, in a fixed order; each is to be set or removed then. */
  due(minute: number): string[] {
    const found = new Set<string>();
    for (const key of this.stored.keys(bytes(DUE), bytes(`${DUE}${hex(minute + 1)}`))) {
      found.add(Buffer.from(key).toString('utf8', DUE.length + MINUTE_DIGITS));
    }
    for (const [at, ids] of this.dueInMemory) {
      if (at > minute) continue;
      for (const id of ids) found.add(id);
      this.dueInMemory.delete(at);
    }
    // The snapshot lists what it knew; a row may have been dealt with since.
    const isDue = (id: string): boolean => {
      const row = this.get(id);
      return row !== null && minuteOf(row.due) <= minute;
    };
    return [...found].filter(isDue).sort();
  }

  *snapshot(): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array | null }> {
    this.writing = this.changes;
    this.changes = new Map();
    for (const [id, { row, storedMinute }] of this.writing) {
      yield { key: bytes(ROW + id), value: row === null ? null : bytes(JSON.stringify(row)) };
      const minute = row === null ? null : minuteOf(row.due);
      if (minute === storedMinute) continue;
      if (storedMinute !== null) yield { key: dueKey(storedMinute, id), value: null };
      if (minute !== null) yield { key: dueKey(minute, id), value: EMPTY };
    }
  }

  /** The snapshot holds what the last call of `snapshot` gave. */
  written(): void {
    this.writing = new Map();
    this.dueInMemory = new Map();
    for (const [id, { row }] of this.changes) if (row !== null) this.remember(id, minuteOf(row.due));
  }

  private remember(id: string, minute: number): void {
    const ids = this.dueInMemory.get(minute);
    if (ids === undefined) this.dueInMemory.set(minute, new Set([id]));
    else ids.add(id);
  }

  private storedMinuteOf(id: string): number | null {
    const change = this.writing.get(id);
    const row = change === undefined ? this.read(id) : change.row;
    return row === null ? null : minuteOf(row.due);
  }

  private read(id: string): PendingOutcome | null {
    const value = this.stored.get(bytes(ROW + id));
    if (value === undefined) return null;
    try {
      return JSON.parse(Buffer.from(value).toString('utf8')) as PendingOutcome;
    } catch (error) {
      throw new TidemillError('STATE_CORRUPT', `the pending outcome of ${id} cannot be read`, { id }, { cause: error });
    }
  }
}

/** The minute by whose end a time has passed. */
export function minuteOf(time: number): number {
  return Math.max(0, Math.floor(time / MINUTE_MS));
}

const EMPTY = new Uint8Array(0);
const NOTHING: StoredState = { get: () => undefined, keys: () => [] };

function dueKey(minute: number, id: string): Uint8Array {
  return bytes(DUE + hex(minute) + id);
}

function hex(minute: number): string {
  return minute.toString(16).padStart(MINUTE_DIGITS, '0');
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}
