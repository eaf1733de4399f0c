import { TidemillError } from '../../contracts/errors.js';
import { streamTopic } from '../../contracts/topics.js';
import { checkFuture, parseEvent } from '../../features/eventContract.js';
import type { CompiledStream, CompiledView } from '../../features/compiledView.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import type { LogRecord } from '../../stores/log/log.js';
import { batchesOf, localFiles, unarchived, type PartitionParts } from './archivedRanges.js';
import type { EventsOf, KnownEvent } from './compareRow.js';
import type { AuditParts } from './recompute.js';

/** Times at which events of a key matter: after < time <= until. */
interface Span {
  after: number;
  until: number;
}

/** More events than this are not held at once. */
const MAX_EVENTS = 2_000_000;

/** Events of one stream, by one of its fields: what several views with the same key share. */
export class KeyedEvents {
  private readonly spans = new Map<Value, Span>();
  private readonly events = new Map<Value, KnownEvent[]>();
  private count = 0;

  constructor(
    readonly stream: CompiledStream,
    readonly field: number,
  ) {}

  /** Asks for the events that a view needs at a time. */
  want(view: CompiledView, key: Value, at: number): void {
    const span = this.spans.get(key);
    if (span === undefined) this.spans.set(key, { after: at - view.keepMs, until: at });
    else {
      span.after = Math.min(span.after, at - view.keepMs);
      span.until = Math.max(span.until, at);
    }
  }

  of(key: Value): readonly KnownEvent[] {
    return this.events.get(key) ?? [];
  }

  /**
   * Reads what was asked for: the archive first, then the log. Late is what is behind the greatest time before it in its
   * partition, less the lateness.
   *
   * @throws TidemillError AUDIT_TOO_LARGE
   */
  async read(
    { offline, objects, log, project }: AuditParts,
    parts: readonly PartitionParts[],
    checkpoint: () => Promise<void>,
  ): Promise<void> {
    const { stream, field } = this;
    const keys = [...this.spans.keys()];
    const spans = [...this.spans.values()];
    if (spans.length === 0) return;
    const after = spans.reduce((least, span) => Math.min(least, span.after), Number.MAX_SAFE_INTEGER);
    const until = spans.reduce((most, span) => Math.max(most, span.until), -Number.MAX_SAFE_INTEGER);
    for (const part of parts) {
      let newest = Number.NEGATIVE_INFINITY;
      let from = 0;
      for (const batch of batchesOf(part.archived)) {
        await checkpoint();
        const to = Math.min((batch.at(-1)?.last ?? 0) + 1, part.end);
        const files = await localFiles(objects, batch);
        const found = await offline.archive.eventsOfKeys({ stream, files, from, to, field, keys, after, until });
        for (const { event, newestBefore } of found.events) this.keep(event, Math.max(newest, newestBefore ?? newest));
        newest = Math.max(newest, found.newest ?? newest);
        from = to;
      }
      for await (const records of unarchived(log, streamTopic(project, stream.name), part)) {
        await checkpoint();
        for (const record of records) {
          const event = eventOf(stream, record);
          if (event === null) continue;
          this.keep(event, newest);
          newest = Math.max(newest, event.time);
        }
      }
    }
  }

  private keep(event: LoggedEvent, newestBefore: number): void {
    const key = event.values[this.field] as Value;
    const span = this.spans.get(key);
    if (span === undefined || event.time <= span.after || event.time > span.until) return;
    if (++this.count > MAX_EVENTS) {
      throw new TidemillError(
        'AUDIT_TOO_LARGE',
        `the vectors of the sample rest on more than ${MAX_EVENTS} events of ${this.stream.name}`,
        { stream: this.stream.name, events: MAX_EVENTS },
      );
    }
    const known = { event, isLate: event.time < newestBefore - this.stream.allowedLatenessMs };
    const list = this.events.get(key);
    if (list === undefined) this.events.set(key, [known]);
    else list.push(known);
  }
}

/** The event of a record; null for one that breaks its contract, which counts nowhere. */
export function eventOf(stream: CompiledStream, record: LogRecord): LoggedEvent | null {
  try {
    const parsed = parseEvent(stream, record.value);
    checkFuture(stream, parsed.time, record.timestamp);
    return { ...parsed, partition: record.partition, offset: record.offset };
  } catch {
    return null;
  }
}

/** Finds events in what was read for the views. */
export function eventsIn(all: ReadonlyMap<string, KeyedEvents>): EventsOf {
  return (view, key) => all.get(keyOf(view))?.of(key) ?? [];
}

/** Views of one stream and key share their events. */
export function keyOf({ stream, key }: CompiledView): string {
  return `${stream.name}/${key}`;
}
