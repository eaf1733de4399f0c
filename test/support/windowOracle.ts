import { checkFuture, parseEvent } from '../../features/eventContract.js';
import type { CompiledWindowAggregate, CompiledWindows } from '../../features/compiledWindows.js';
import { evaluate } from '../../features/evaluate.js';
import { comparePositions } from '../../features/order.js';
import type { StreamEvent, Value } from '../../features/types.js';
import { powerOfTen } from '../../features/vector.js';
import type { LogRecord } from '../../stores/log/log.js';

/** What became of a record. */
export type WindowOutcome = 'counted' | 'late' | 'duplicate' | 'deadLetter';

/** One window as the whole log says that it is. */
export interface ExpectedWindow {
  readonly key: Value;
  readonly start: number;
  readonly end: number;
  readonly events: number;
  readonly values: Readonly<Record<string, Value>>;
}

export interface Expectation {
  readonly windows: ExpectedWindow[];
  readonly outcomes: WindowOutcome[];
  /** By partition. */
  readonly watermarks: ReadonlyMap<number, number>;
  /** The least of them. */
  readonly watermark: number;
}

/**
 * The meaning of windows, written for clarity: which records count is decided partition by partition, then every window is
 * computed from all of its events. `records` hold each partition's in its own order.
 */
export function expectedWindows(windows: CompiledWindows, records: readonly LogRecord[]): Expectation {
  const { stream, reviseMs } = windows;
  const greatest = new Map<number, number>();
  const seen = new Set<string>();
  const counted: StreamEvent[] = [];
  const outcomes = records.map((record): WindowOutcome => {
    let event: StreamEvent;
    try {
      event = parseEvent(stream, record.value);
      checkFuture(stream, event.time, record.timestamp);
    } catch {
      return 'deadLetter';
    }
    const newest = greatest.get(record.partition) ?? Number.NEGATIVE_INFINITY;
    if (event.time < newest - stream.allowedLatenessMs - reviseMs) return 'late';
    greatest.set(record.partition, Math.max(newest, event.time));
    const identity = JSON.stringify([event.values[stream.topicKey], event.time, event.id]);
    if (!windows.countsDuplicates && seen.has(identity)) return 'duplicate';
    seen.add(identity);
    counted.push(event);
    return 'counted';
  });
  const watermarks = new Map([...greatest].map(([partition, time]) => [partition, time - stream.allowedLatenessMs]));
  const watermark = Math.min(...watermarks.values());
  return { windows: windowsOver(windows, counted), outcomes, watermarks, watermark };
}

function windowsOver(windows: CompiledWindows, events: readonly StreamEvent[]): ExpectedWindow[] {
  const { shape } = windows;
  const byKey = new Map<Value, StreamEvent[]>();
  for (const event of [...events].sort(comparePositions)) {
    const key = event.values[windows.key] as Value;
    byKey.set(key, [...(byKey.get(key) ?? []), event]);
  }
  const found: ExpectedWindow[] = [];
  for (const [key, own] of byKey) {
    if (shape.kind === 'session') {
      let session: StreamEvent[] = [];
      for (const [at, event] of own.entries()) {
        session.push(event);
        const next = own[at + 1];
        if (next !== undefined && next.time - event.time < shape.gapMs) continue;
        found.push(windowOf(windows, key, (session[0] as StreamEvent).time, event.time + shape.gapMs, session));
        session = [];
      }
      continue;
    }
    const ends = new Set<number>();
    for (const { time } of own)
      for (
        let end = (Math.floor(time / shape.everyMs) + 1) * shape.everyMs;
        end - shape.lengthMs <= time;
        end += shape.everyMs
      )
        ends.add(end);
    for (const end of ends) {
      const start = end - shape.lengthMs;
      const inside = own.filter(({ time }) => time >= start && time < end);
      found.push(windowOf(windows, key, start, end, inside));
    }
  }
  return found;
}

function windowOf(
  { stream, aggregates }: CompiledWindows,
  key: Value,
  start: number,
  end: number,
  events: readonly StreamEvent[],
): ExpectedWindow {
  const indexOf = new Map(stream.fields.map(({ name }, at) => [name, at]));
  const values: Record<string, Value> = {};
  for (const aggregate of aggregates) {
    const inputs: Value[] = [];
    for (const event of events) {
      const field = (name: string): Value => event.values[indexOf.get(name) as number] as Value;
      if (aggregate.where !== null && evaluate(aggregate.where, field) !== true) continue;
      const input = aggregate.input === null ? 1 : evaluate(aggregate.input, field);
      if (input !== null) inputs.push(input);
    }
    values[aggregate.name] = valueOf(aggregate, inputs);
  }
  return { key, start, end, events: events.length, values };
}

/** `inputs` are in the order of the events. */
function valueOf({ aggregate, input }: CompiledWindowAggregate, inputs: readonly Value[]): Value {
  const scale = input?.type.kind === 'decimal' ? powerOfTen(input.type.scale) : 1;
  const shown = (value: Value | undefined): Value =>
    value === undefined || value === null ? null : typeof value === 'number' ? value / scale : value;
  const numbers = inputs.map(Number);
  const sum =
    input?.type.kind === 'double'
      ? numbers.reduce((a, b) => a + b, 0)
      : Number(
          inputs.reduce(
            (total: bigint, value) =>
              total + BigInt(Number(value === true ? 1 : Number.isFinite(Number(value)) ? Number(value) : 0)),
            0n,
          ),
        );
  switch (aggregate) {
    case 'count':
      return inputs.length;
    case 'distinctCount':
      return new Set(inputs).size;
    case 'sum':
      return inputs.length === 0 ? null : sum / scale;
    case 'mean':
      return inputs.length === 0 ? null : sum / (inputs.length * scale);
    case 'min':
      return inputs.length === 0 ? null : Math.min(...numbers) / scale;
    case 'max':
      return inputs.length === 0 ? null : Math.max(...numbers) / scale;
    case 'first':
      return shown(inputs[0]);
    case 'last':
      return shown(inputs.at(-1));
  }
}

/** A result or a retraction as it stands in the output topic. */
export interface WindowText {
  readonly key: number | string;
  readonly start: number;
  readonly end: number;
  readonly revision: number;
  readonly retracted?: true;
  readonly [value: string]: unknown;
}

/** What a reader of the output knows at the end: the highest revision of each window, without what was retracted. */
export function latestResults(records: readonly WindowText[]): { latest: WindowText[]; problems: string[] } {
  const byWindow = new Map<string, WindowText>();
  const problems: string[] = [];
  for (const record of records) {
    const identity = JSON.stringify([record.key, record.start]);
    const known = byWindow.get(identity);
    if (known !== undefined && known.revision >= record.revision)
      problems.push(`${identity}: revision ${record.revision} after ${known.revision}`);
    byWindow.set(identity, record);
  }
  return { latest: [...byWindow.values()].filter(({ retracted }) => retracted !== true), problems };
}

/** A window in one line, for comparison. */
export function lineOf(
  { key, start, end }: Pick<ExpectedWindow, 'key' | 'start' | 'end'>,
  values: Readonly<Record<string, unknown>>,
): string {
  return JSON.stringify([key, start, end, ...Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** The values of a result without the fields that every result has. */
export function valuesOf({
  key: _k,
  start: _s,
  end: _e,
  revision: _r,
  ...values
}: WindowText): Record<string, unknown> {
  return values;
}
