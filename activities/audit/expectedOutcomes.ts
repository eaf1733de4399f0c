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
  /** It came behind the watermark, so that it feeds no window: late records, and replays that are answered all the same. */
  readonly isLate: boolean;
}

/**
 * What must become of each record of a stream, from the log alone and written as plainly as the rules are:
 * a record that breaks the contract is a dead letter; one behind the greatest time of its partition minus the lateness is
 * late; one whose (key, time, id) came before in its partition is a duplicate; every other is predicted. The replay of a dead
 * letter is a duplicate where that one was replayed before; a request's replay is predicted even where it is late.
 *
 * @param records of one partition after the other, each in offset order.
 * @param role do its records ask for predictions, or do they only feed windows?
 */
export function expectedOutcomes(
  stream: CompiledStream,
  records: readonly LogRecord[],
  role: 'requests' | 'events' = 'requests',
): ExpectedRecord[] {
  const greatest = new Map<number, number>();
  const seen = new Set<string>();
  const replayed = new Set<string>();
  return records.map((record): ExpectedRecord => {
    let event: LoggedEvent;
    try {
      const parsed = parseEvent(stream, record.value);
      checkFuture(stream, parsed.time, record.timestamp);
      event = { ...parsed, partition: record.partition, offset: record.offset };
    } catch {
      // Any breach of the contract: the dead letter itself says which.
      return { record, outcome: 'deadLetter', event: null, isLate: false };
    }
    const mark = replayMarkOf(record.headers[REPLAY_HEADER]);
    const origin = mark === null ? null : `${mark.topic}/${mark.partition}/${mark.offset}`;
    const newest = greatest.get(record.partition) ?? Number.NEGATIVE_INFINITY;
    const isLate = event.time < newest - stream.allowedLatenessMs;
    if (origin !== null) {
      if (replayed.has(origin)) return { record, outcome: 'duplicate', event, isLate };
      replayed.add(origin);
    }
    if (isLate && (origin === null || role === 'events')) return { record, outcome: 'late', event, isLate };
    if (isLate) return { record, outcome: 'prediction', event, isLate };
    greatest.set(record.partition, Math.max(newest, event.time));
    const identity = JSON.stringify([record.partition, event.values[stream.topicKey], event.time, event.id]);
    if (seen.has(identity)) return { record, outcome: 'duplicate', event, isLate };
    seen.add(identity);
    return { record, outcome: 'prediction', event, isLate };
  });
}
