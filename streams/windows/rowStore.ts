import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { Value } from '../../features/types.js';

/** Rows of one page are one entry of a snapshot: a change rewrites so many at most. */
const PAGE_ROWS = 256;
const FIRST_CAPACITY = 64;

/** What the rows of a store hold. */
export interface RowLayout {
  /** Numbers of a new row; a row has as many. */
  readonly initial: readonly number[];
  /** Kinds of the columns that are no numbers: single values, or sets of them. */
  readonly columns: readonly ('value' | 'set')[];
}

/**
 * Rows of numbers, one after the other in one array, and a few columns of what is no number.
 *
 *   data      | row 0: n0 n1 n2 … | row 1: n0 n1 n2 … | …
 *   columns   values[0], values[1], …   sets[0], …
 *
 * Rows are numbered from 0 and keep their number. Pages of rows that changed are what a snapshot writes.
 */
export class RowStore {
  readonly stride: number;
  data: Float64Array;
  readonly columns: readonly (Value | Set<Value>)[][];
  /** Rows given out so far, freed ones included. */
  length = 0;
  private readonly free: number[] = [];
  /** By page: 1 where it changed since the last snapshot. */
  private dirty = new Uint8Array(1);
  /** Pages that snapshots have. */
  private storedPages = 0;

  constructor(private readonly layout: RowLayout) {
    this.stride = layout.initial.length;
    this.data = new Float64Array(FIRST_CAPACITY * this.stride);
    this.columns = layout.columns.map(() => []);
  }

  /** A row with its first values; a freed one where there is one. */
  add(): number {
    const row = this.free.pop() ?? this.length++;
    this.reserve(this.length);
    const { data, stride } = this;
    const { initial } = this.layout;
    const base = row * stride;
    for (let at = 0; at < stride; at++) data[base + at] = initial[at] as number;
    for (let at = 0; at < this.columns.length; at++) {
      const column = this.columns[at] as (Value | Set<Value>)[];
      column[row] = this.layout.columns[at] === 'set' ? new Set<Value>() : null;
    }
    this.touch(row);
    return row;
  }

  /** Gives a row back. Its first number is NaN until it is given out again. */
  release(row: number): void {
    this.data[row * this.stride] = Number.NaN;
    for (const column of this.columns) column[row] = null;
    this.free.push(row);
    this.touch(row);
  }

  /** The row changed. */
  touch(row: number): void {
    this.dirty[Math.floor(row / PAGE_ROWS)] = 1;
  }

  private reserve(rows: number): void {
    if (rows * this.stride <= this.data.length) return;
    let capacity = this.data.length / this.stride;
    while (capacity < rows) capacity *= 2;
    const data = new Float64Array(capacity * this.stride);
    data.set(this.data);
    this.data = data;
    const dirty = new Uint8Array(Math.ceil(capacity / PAGE_ROWS));
    dirty.set(this.dirty);
    this.dirty = dirty;
  }

  /** Pages that changed since the last call. */
  *takePages(): Iterable<{ readonly page: number; readonly value: Uint8Array }> {
    for (let page = 0; page * PAGE_ROWS < this.length; page++) {
      if (this.dirty[page] !== 1) continue;
      this.dirty[page] = 0;
      this.storedPages = Math.max(this.storedPages, page + 1);
      yield { page, value: this.encodePage(page) };
    }
  }

  /** How many pages snapshots have of this store: those to delete when it goes. */
  get pagesStored(): number {
    return this.storedPages;
  }

  /** u32 length of the columns | columns as JSON | the rows' numbers. */
  private encodePage(page: number): Uint8Array {
    const from = page * PAGE_ROWS;
    const to = Math.min(this.length, from + PAGE_ROWS);
    const columns = this.columns.map((column) =>
      column.slice(from, to).map((value) => (value instanceof Set ? [...value] : value)),
    );
    const json = Buffer.from(JSON.stringify(columns), 'utf8');
    const numbers = this.data.subarray(from * this.stride, to * this.stride);
    const bytes = Buffer.allocUnsafe(4 + json.length + numbers.byteLength);
    bytes.writeUInt32LE(json.length, 0);
    json.copy(bytes, 4);
    Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).copy(bytes, 4 + json.length);
    return bytes;
  }

  /**
   * Restores a page; `restored` is told of each of its rows that is in use.
   *
   * @throws TidemillError STATE_CORRUPT
   */
  restorePage(page: number, value: Uint8Array, restored: (row: number) => void): void {
    const bytes = Buffer.from(value);
    const from = page * PAGE_ROWS;
    let columns: (Value | Value[])[][];
    let numbers: Float64Array;
    try {
      const length = bytes.readUInt32LE(0);
      columns = JSON.parse(bytes.toString('utf8', 4, 4 + length)) as (Value | Value[])[][];
      const rest = Uint8Array.from(bytes.subarray(4 + length));
      numbers = new Float64Array(rest.buffer);
    } catch (error) {
      throw corrupt(messageOf(error));
    }
    const rows = numbers.length / this.stride;
    if (!Number.isInteger(rows) || rows > PAGE_ROWS || columns.length !== this.columns.length)
      throw corrupt(`${numbers.length} numbers in rows of ${this.stride}`);
    this.reserve(from + rows);
    this.data.set(numbers, from * this.stride);
    for (const [at, column] of columns.entries()) {
      const own = this.columns[at] as (Value | Set<Value>)[];
      for (const [row, each] of column.entries()) own[from + row] = Array.isArray(each) ? new Set(each) : each;
    }
    // Pages may come in any order: what lies before is filled by theirs.
    this.length = Math.max(this.length, from + rows);
    this.storedPages = Math.max(this.storedPages, page + 1);
    for (let row = from; row < from + rows; row++) {
      if (Number.isNaN(this.data[row * this.stride])) this.free.push(row);
      else restored(row);
    }
  }
}

function corrupt(problem: string): TidemillError {
  return new TidemillError('STATE_CORRUPT', `a page of window state cannot be read: ${problem}`, { problem });
}
