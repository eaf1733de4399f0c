import type { Log } from '../../stores/log/log.js';
import { CLOSING_USER, expectedTumbling, WINDOW_MS, type TumblingOptions } from './tumblingEvents.js';

/** Sums of floats differ by the order in which they were added. */
const RELATIVE_TOLERANCE = 1e-9;
const MOST_FINDINGS = 10;
/** Minutes in a table: more than two days of stream time. */
const MOST_WINDOWS = 4_096;
const COLUMNS = ['count', 'sum', 'mean', 'max'] as const;
const WIDTH = COLUMNS.length;

/** The results of a run by window and user, packed: there may be millions. */
export class WindowResults {
  private readonly rows = new Map<number, number>();
  private values = new Float64Array(4_096 * WIDTH);
  private firstMinute: number | null = null;

  get size(): number {
    return this.rows.size;
  }

  /** False where the window was told before. */
  add(user: number, start: number, values: readonly number[]): boolean {
    const minute = start / WINDOW_MS;
    this.firstMinute ??= minute - MOST_WINDOWS / 2;
    const at = minute - this.firstMinute;
    if (at < 0 || at >= MOST_WINDOWS) throw new RangeError(`a window starts at ${start}, far from all others`);
    const id = user * MOST_WINDOWS + at;
    if (this.rows.has(id)) return false;
    const row = this.rows.size;
    if ((row + 1) * WIDTH > this.values.length) {
      const wider = new Float64Array(this.values.length * 2);
      wider.set(this.values);
      this.values = wider;
    }
    this.values.set(values, row * WIDTH);
    this.rows.set(id, row);
    return true;
  }

  get(user: number, start: number): Float64Array | null {
    if (this.firstMinute === null) return null;
    const row = this.rows.get(user * MOST_WINDOWS + start / WINDOW_MS - this.firstMinute);
    return row === undefined ? null : this.values.subarray(row * WIDTH, (row + 1) * WIDTH);
  }

  *entries(): Generator<{ readonly user: number; readonly start: number; readonly values: Float64Array }> {
    for (const [id, row] of this.rows) {
      const start = ((id % MOST_WINDOWS) + (this.firstMinute ?? 0)) * WINDOW_MS;
      const values = this.values.subarray(row * WIDTH, (row + 1) * WIDTH);
      yield { user: Math.floor(id / MOST_WINDOWS), start, values };
    }
  }
}

/** What a batch over the same events says. */
export function oracleResults(options: TumblingOptions): WindowResults {
  const results = new WindowResults();
  for (const [window, { count, cents, max }] of expectedTumbling(options)) {
    const [user, start] = window.split(' ').map(Number) as [number, number];
    results.add(user, start, [count, cents / 100, cents / (count * 100), max / 100]);
  }
  return results;
}

/** Reads what a run wrote, committed records only; `findings` names what stands there twice or is no result. */
export async function readResults(log: Log, topic: string): Promise<{ results: WindowResults; findings: string[] }> {
  const results = new WindowResults();
  const findings: string[] = [];
  const find = (text: string): void => void (findings.length < MOST_FINDINGS && findings.push(text));
  for (const { partition, low, high } of await log.offsets(topic)) {
    for await (const batch of log.read({ topic, partition, from: low, to: high })) {
      for (const { value, offset } of batch) {
        const told = JSON.parse(String(value)) as Record<'key' | 'start' | 'end' | (typeof COLUMNS)[number], unknown>;
        const numbers = [told.key, told.start, told.end, ...COLUMNS.map((column) => told[column])];
        if (!numbers.every((each) => typeof each === 'number')) {
          find(`partition ${partition}, offset ${offset}: ${String(value)} is not a result`);
          continue;
        }
        const [user, start, end, ...values] = numbers as [number, number, number, ...number[]];
        if (user === CLOSING_USER) continue;
        if (end !== start + WINDOW_MS) find(`user ${user}: a window from ${start} to ${end}`);
        if (!results.add(user, start, values)) find(`user ${user}, window ${start}: told twice`);
      }
    }
  }
  return { results, findings };
}

/** The first few differences between two tables; none where they have the same windows with the same values. */
export function differences(found: WindowResults, expected: WindowResults, name: string): string[] {
  const findings: string[] = [];
  let missing = 0;
  for (const { user, start, values } of expected.entries()) {
    const other = found.get(user, start);
    if (other === null) missing++;
    else if (findings.length < MOST_FINDINGS && !values.every((value, at) => isSame(value, other[at] as number))) {
      const texts = [other, values].map((row) => COLUMNS.map((column, at) => `${column} ${row[at]}`).join(', '));
      findings.push(`user ${user}, window ${start}: ${texts.join('; ' + name + ' says ')}`);
    }
  }
  if (missing > 0) findings.push(`${missing} of ${expected.size} windows of ${name} are missing`);
  const more = found.size - (expected.size - missing);
  if (more > 0) findings.push(`${more} windows are not in ${name}`);
  return findings;
}

function isSame(one: number, other: number): boolean {
  return Math.abs(one - other) <= RELATIVE_TOLERANCE * Math.max(Math.abs(one), Math.abs(other));
}
