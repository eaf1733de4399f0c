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
}

/**
 * What must become of each record of a stream, from the log alone and written as plainly as the rules are:
 * a record that breaks the contract is a dead letter; one behind the greatest time of its partition minus the lateness is
 * late; one whose (key, time, id) came before in its partition is a duplicate; every other is predicted.
 *
 * @param records of one partition after the other, each in offset order.
 */
export function expectedOutcomes(stream: CompiledStream, records: readonly LogRecord[]): ExpectedRecord[] {
  const greatest = new Map<number, number>();
  const seen = new Set<string>();
  return records.map((record): ExpectedRecord => {
    let event: LoggedEvent;
    try {
      const parsed = parseEvent(stream, record.value);
      checkFuture(stream, parsed.time, record.timestamp);
      event = { ...parsed, partition: record.partition, offset: record.offset };
    } catch {
      // Any breach of the contract: the dead letter itself says which.
      return { record, outcome: 'deadLetter', event: null };
    }
    const newest = greatest.get(record.partition) ?? Number.NEGATIVE_INFINITY;
    if (event.time < newest - stream.allowedLatenessMs) return { record, outcome: 'late', event };
    greatest.set(record.partition, Math.max(newest, event.time));
    const identity = JSON.stringify([record.partition, event.values[stream.topicKey], event.time, event.id]);
    if (seen.has(identity)) return { record, outcome: 'duplicate', event };
    seen.add(identity);
    return { record, outcome: 'prediction', event };
  });
}
