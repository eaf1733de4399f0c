import { checkFuture } from '../../../features/eventContract.js';
import { EventReader } from '../../../features/eventReader.js';
import type { EventId, Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { Output, ParsedRecord } from '../../runtime/topology.js';
import { SeenRequests } from '../score/seenRequests.js';
import { emitDuplicate, emitLate } from '../score/setAside.js';
import { SourceProgress } from '../score/sourceProgress.js';
import type { StateEntry } from '../../windows/windowState.js';
import type { WindowPlan } from './windowPlan.js';

/** A record that cannot be read, in a stream whose broken records another topology sets aside. */
const PASSED_OVER = 'passed over';

/**
 * Where events come in: each ends here as a late record, a duplicate or a dead letter, or counts.
 *
 *   read (contract, maxFuture) -> too late? -> duplicate? -> counts
 *
 * Only the event read last is held, in one array: a task reads and folds one record after the other.
 */
export class Intake {
  readonly values: Value[];
  readonly progress: SourceProgress;
  private readonly reader: EventReader;
  private readonly seen: SeenRequests | null;
  private held: LogRecord | null = null;

  constructor(private readonly plan: WindowPlan) {
    const { windows } = plan;
    this.reader = new EventReader(windows.stream, new Set([...plan.carriedFields, windows.stream.topicKey]));
    this.values = this.reader.values;
    this.progress = new SourceProgress(windows.stream);
    this.seen = windows.countsDuplicates ? null : new SeenRequests();
  }

  get time(): number {
    return this.values[this.plan.windows.stream.eventTime] as number;
  }

  get id(): EventId {
    return this.values[this.plan.windows.stream.eventId] as EventId;
  }

  /** Watermark of the source partition; -Infinity before its first event. */
  get watermark(): number {
    return this.progress.watermark;
  }

  /** @throws TidemillError what a record breaks, where this topology sets it aside. */
  parse(record: LogRecord): ParsedRecord {
    try {
      this.read(record);
      return { record, time: this.time, content: null };
    } catch (error) {
      if (this.plan.setsAside) throw error;
      return { record, time: Number.NEGATIVE_INFINITY, content: PASSED_OVER };
    }
  }

  private read(record: LogRecord): void {
    const { stream } = this.plan.windows;
    this.held = null;
    this.reader.read(record.value);
    checkFuture(stream, this.time, record.timestamp);
    this.held = record;
  }

  /** Does it count? Otherwise it has ended here. */
  admit({ record, content }: ParsedRecord, output: Output): boolean {
    if (content === PASSED_OVER) return false;
    if (this.held !== record) this.read(record);
    const { project, windows, setsAside } = this.plan;
    const { time, progress } = this;
    progress.folded = record.offset + 1;
    if (time < progress.watermark - windows.reviseMs) {
      if (setsAside) emitLate(project, record, { time, id: this.id, values: this.values }, progress.watermark, output);
      return false;
    }
    progress.observe(time);
    if (this.seen === null) return true;
    const first = this.seen.meet(this.values[windows.stream.topicKey] as Value, time, this.id, record.offset);
    if (first === null) return true;
    if (setsAside) emitDuplicate(project, record, { time, id: this.id, values: this.values }, first, output);
    return false;
  }

  /** What lies behind everything that may still count is looked up no more. */
  forget(): void {
    this.seen?.evict(this.watermark - this.plan.windows.reviseMs);
  }

  *snapshot(): Iterable<StateEntry> {
    for (const { bucket, value } of this.seen?.snapshot() ?? []) yield { key: `s${bucket}`, value };
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(key: string, value: Uint8Array): void {
    this.seen?.restore(Number(key.slice(1)), value);
  }
}
