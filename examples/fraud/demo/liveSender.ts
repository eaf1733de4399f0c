import { setTimeout as sleep } from 'node:timers/promises';
import { streamTopic } from '../../../contracts/topics.js';
import { seededRandom } from '../../../models/statistics/random.js';
import type { LogProducer, OutgoingRecord } from '../../../stores/log/log.js';
import type { GeneratedEvent } from '../generator/events.js';

/** Event time sent in one go: small against the windows, so that labels and requests stay side by side. */
const SLICE_MS = 600_000;

export interface SendState {
  /** Event time that has been sent. */
  readonly at: number;
  /** Records on the request topic, broken and repeated ones included. */
  readonly requests: number;
  /** Labels of live requests. */
  readonly labels: number;
}

/**
 * Sends events in event-time order, as fast as `pace` lets it. Some records are what real producers send, too: repeated,
 * broken, or long out of date.
 */
export async function sendLive(
  producer: LogProducer,
  project: string,
  days: Iterable<{ readonly events: readonly GeneratedEvent[] }>,
  options: {
    readonly seed: number;
    /** Labels from this event time on are those of live requests. */
    readonly labelsFrom: number;
    /** What an earlier call sent: this one goes on counting there. @default nothing */
    readonly after?: SendState;
    /** Events per second that may be sent now. */
    readonly pace: (state: SendState) => Promise<number>;
  },
): Promise<SendState> {
  const random = seededRandom(options.seed);
  let { requests, labels, at } = options.after ?? { requests: 0, labels: 0, at: 0 };
  for (const { events } of days) {
    let slice: OutgoingRecord[] = [];
    let until = Math.floor((events[0]?.at ?? 0) / SLICE_MS) * SLICE_MS + SLICE_MS;
    const flush = async (): Promise<void> => {
      if (slice.length === 0) return;
      const started = performance.now();
      await producer.send(slice);
      const rate = await options.pace({ at, requests, labels });
      const due = (slice.length / rate) * 1_000 - (performance.now() - started);
      slice = [];
      if (due > 1) await sleep(due);
    };
    for (const event of events) {
      if (event.at >= until) {
        at = until;
        await flush();
        until = Math.floor(event.at / SLICE_MS) * SLICE_MS + SLICE_MS;
      }
      const records = withAccidents(project, event, random.next());
      slice.push(...records);
      if (event.stream === 'fraud-labels' && event.at >= options.labelsFrom) labels++;
      requests += records.filter(({ topic }) => topic === streamTopic(project, 'transactions')).length;
    }
    at = until;
    await flush();
  }
  return { at, requests, labels };
}

function withAccidents(project: string, event: GeneratedEvent, chance: number): OutgoingRecord[] {
  const { key, value } = event;
  const record: OutgoingRecord = { topic: streamTopic(project, event.stream), key, value };
  if (event.stream === 'fraud-labels' || chance > 0.004) return [record];
  if (chance < 0.001) return [record, record];
  if (chance < 0.002) {
    // A day late: far behind what the stream allows.
    const old = JSON.parse(value) as { id: number; at: number };
    return [
      record,
      { ...record, value: JSON.stringify({ ...old, id: old.id + 1_000_000_000, at: old.at - 86_400_000 }) },
    ];
  }
  if (chance < 0.003) return [record, { ...record, value: value.slice(0, -5) }];
  return [record, { ...record, value: JSON.stringify({ ...(JSON.parse(value) as object), amount: 'NaN' }) }];
}
