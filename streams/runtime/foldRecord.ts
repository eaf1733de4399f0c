import { KEPT_HEADER_PREFIX, REPLAY_HEADER, replayMarkOf } from '../../contracts/deadLetters.js';
import { isTidemillError, messageOf, TidemillError } from '../../contracts/errors.js';
import { deadLetterTopic } from '../../contracts/topics.js';
import type { LogRecord, OutgoingRecord } from '../../stores/log/log.js';
import type { PoisonBreaker } from './poisonBreaker.js';
import type { Recovery } from './recover.js';
import { partitionName, type InputRecord } from './taskInputs.js';
import type { Output, StreamTask } from './topology.js';

/**
 * Folds one record; one that cannot be folded is set aside in its place.
 *
 * @throws TidemillError POISON_LIMIT_EXCEEDED, STATE_CORRUPT
 */
export function foldLive(task: StreamTask, next: InputRecord, output: Output, breaker: PoisonBreaker): void {
  if ('failure' in next) {
    output.deadLetter(next.record, next.failure);
    breaker.failed(next.failure);
    return;
  }
  try {
    task.fold(next, output, false);
  } catch (error) {
    // A snapshot found damaged while it is read by key: no fault of the record.
    if (isTidemillError(error, 'STATE_CORRUPT')) throw error;
    // The fold is deterministic: what fails once fails always.
    output.deadLetter(next.record, error);
    breaker.failed(error);
    return;
  }
  breaker.passed();
}

/**
 * Records that failed when they were live have their dead letter; they change nothing. What lies before the snapshot is
 * read for the parts alone that the snapshot lacks.
 */
export function foldSilently(
  { task, heldFrom }: Pick<Recovery, 'task' | 'heldFrom'>,
  next: Exclude<InputRecord, { failure: unknown }>,
): void {
  const { record } = next;
  try {
    if (record.offset < (heldFrom.get(partitionName(record)) ?? 0)) task.foldBefore?.(next);
    else task.fold(next, SILENT, true);
  } catch (error) {
    if (isTidemillError(error, 'STATE_CORRUPT')) throw error;
    // Poison, answered when it was live: a replay leaves it out for the same reason.
  }
}

const SILENT: Output = { emit: () => undefined, deadLetter: () => undefined };

/** The dead letter of a record: its bytes and headers as they were, and why it failed. */
export function deadLetterOf(project: string, record: LogRecord, error: unknown): OutgoingRecord {
  const mark = replayMarkOf(record.headers[REPLAY_HEADER]);
  const kept: Record<string, Buffer | string> = {};
  for (const [name, value] of Object.entries(record.headers)) {
    if (value !== undefined && name !== REPLAY_HEADER) kept[`${KEPT_HEADER_PREFIX}${name}`] = value;
  }
  return {
    topic: deadLetterTopic(project),
    key: record.key,
    value: record.value,
    headers: {
      ...kept,
      'original-topic': record.topic,
      'original-partition': String(record.partition),
      'original-offset': String(record.offset),
      code: error instanceof TidemillError ? error.code : 'FOLD_FAILED',
      message: messageOf(error),
      attempt: String((mark?.attempt ?? 0) + 1),
      ...(mark === null ? {} : { 'first-partition': String(mark.partition), 'first-offset': String(mark.offset) }),
    },
  };
}
