import { REPLAY_HEADER, replayMarkOf } from '../../contracts/deadLetters.js';
import { checkFuture, parseEvent } from '../../features/eventContract.js';
import type { CompiledStream } from '../../features/compiledView.js';
import type { LoggedEvent } from '../../features/types.js';
import type { LogRecord } from '../../stores/log/log.js';

export type Outcome = 'prediction' | 'duplicate' | 'late' | 'deadLetter';

export interface ExpectedRecord {
  readonly record: LogRecord;
  readonly outcome: Outcome;
  /** Null for a dead letter. */
  readonly event: LoggedEvent | null;
  /** The replay of a dead letter that came behind the watermark: it is answered, and feeds no window. */
  readonly isLateReplay?: true;
}

/**
 * What must become of each record of a stream, from the log alone and written as plainly as the rules are:
 * a record that breaks the contract is a dead letter; one behind the greatest time of its partition minus the lateness is
 * late; one whose (key, time, id) came before in its partition is a duplicate; every other is predicted. The replay of a dead
 * letter is a duplicate where that one was replayed before; a request's replay is predicted even where it is late.
 *
 * @param records of one partition after the other, each in offset order.
 */
export function expectedOutcomes(stream: CompiledStream, records: readonly LogRecord[]): ExpectedRecord[] {
  const rules = new OutcomeRules(stream);
  return records.map((record) => {
    return { record, ...rules.ofRecord(record) };
  });
}

/** The rules, fed record by record in offset order of each partition. */
export class OutcomeRules {
  private readonly greatest = new Map<number, number>();
  private readonly seen = new Set<string>();
  private readonly replayed = new Set<string>();

  /** @param isWanted events of which duplicates are told apart: of others it is never asked. @default all */
  constructor(
    private readonly stream: CompiledStream,
    private readonly isWanted: (event: LoggedEvent) => boolean = () => true,
  ) {}

  ofRecord(record: LogRecord): Omit<ExpectedRecord, 'record'> {
    const { partition, offset } = record;
    let event: LoggedEvent;
    try {
      const parsed = parseEvent(this.stream, record.value);
      checkFuture(this.stream, parsed.time, record.timestamp);
      event = { ...parsed, partition, offset };
    } catch {
      // Any breach of the contract: the dead letter itself says which.
      return { outcome: 'deadLetter', event: null };
    }
    const mark = replayMarkOf(record.headers[REPLAY_HEADER]);
    if (mark === null) return { outcome: this.ofEvent(event), event };
    const origin = `${mark.topic}/${mark.partition}/${mark.offset}`;
    if (this.replayed.has(origin)) return { outcome: 'duplicate', event };
    this.replayed.add(origin);
    const outcome = this.ofEvent(event);
    return outcome === 'late' ? { outcome: 'prediction', event, isLateReplay: true } : { outcome, event };
  }

  /** The same for an event that is known to keep the contract. */
  ofEvent(event: LoggedEvent): Exclude<Outcome, 'deadLetter'> {
    const { partition, time, id } = event;
    const newest = this.greatest.get(partition) ?? Number.NEGATIVE_INFINITY;
    if (time < newest - this.stream.allowedLatenessMs) return 'late';
    this.greatest.set(partition, Math.max(newest, time));
    if (!this.isWanted(event)) return 'prediction';
    const identity = JSON.stringify([partition, event.values[this.stream.topicKey], time, id]);
    if (this.seen.has(identity)) return 'duplicate';
    this.seen.add(identity);
    return 'prediction';
  }
}
