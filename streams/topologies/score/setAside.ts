import { REPLAY_HEADER, replayMarkOf } from '../../../contracts/deadLetters.js';
import type { SetAsideRecord } from '../../../contracts/records.js';
import { duplicatesTopic, lateTopic } from '../../../contracts/topics.js';
import type { StreamEvent } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { Output } from '../../runtime/topology.js';

/** A record behind the watermark of its source partition goes to the late topic. */
export function emitLate(
  project: string,
  record: LogRecord,
  event: StreamEvent,
  watermark: number,
  output: Output,
): void {
  emit(lateTopic(project), record, event, { watermark }, output);
}

/** A second record of one event goes to the duplicates topic. */
export function emitDuplicate(
  project: string,
  record: LogRecord,
  event: StreamEvent,
  firstOffset: number | null,
  output: Output,
): void {
  emit(duplicatesTopic(project), record, event, firstOffset === null ? {} : { firstOffset }, output);
}

function emit(
  topic: string,
  { topic: source, partition, offset, key, value, headers }: LogRecord,
  { id, time }: StreamEvent,
  more: Pick<SetAsideRecord, 'watermark' | 'firstOffset'>,
  output: Output,
): void {
  const mark = replayMarkOf(headers[REPLAY_HEADER]);
  const record: SetAsideRecord = {
    source: { topic: source, partition, offset },
    id,
    at: time,
    ...more,
    ...(mark === null ? {} : { replayOf: { topic: mark.topic, partition: mark.partition, offset: mark.offset } }),
    value: value?.toString('utf8') ?? '',
  };
  output.emit({ topic, key, value: JSON.stringify(record) });
}
