import { streamTopic } from '../../../contracts/topics.js';
import type { LogProducer } from '../../../stores/log/log.js';
import type { GeneratedEvent } from '../generator/events.js';

/** Loads history as fast as the broker takes it; returns how many records. */
export async function loadHistory(
  producer: LogProducer,
  project: string,
  days: Iterable<{ readonly day: number; readonly events: readonly GeneratedEvent[] }>,
  onDay: (day: number, records: number) => void,
): Promise<number> {
  let records = 0;
  for (const { day, events } of days) {
    await producer.send(events.map(({ stream, key, value }) => ({ topic: streamTopic(project, stream), key, value })));
    records += events.length;
    onDay(day, records);
  }
  return records;
}
