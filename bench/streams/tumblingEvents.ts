import type { Log, OutgoingRecord } from '../../stores/log/log.js';
import { partitionOf } from '../../stores/log/partitioner.js';

/** One event of the benchmark; about 120 bytes as JSON. */
export interface TumblingEvent {
  readonly id: number;
  /** Event time, ms. */
  readonly at: number;
  readonly user: number;
  /** Cents. */
  readonly cents: number;
}

export interface TumblingOptions {
  /** @default 1000000 */
  readonly events?: number;
  /** Users, equally likely. @default 1000 */
  readonly keys?: number;
  /** Events in a second of stream time. @default 640 */
  readonly eventsPerSecond?: number;
  /** Share of events that are up to ten seconds late; all of them still count. @default 0.05 */
  readonly outOfOrder?: number;
  /** @default 1 */
  readonly seed?: number;
}

export const WINDOW_MS = 60_000;
const START = Date.parse('2026-01-01T00:00:00Z');
const GREATEST_DELAY_MS = 9_000;
const BATCH = 5_000;
/** User of the events that come last in each partition and close all windows before. */
export const CLOSING_USER = -1;

/** The same events for the same options. */
export function* tumblingEvents(options: TumblingOptions = {}): Generator<TumblingEvent> {
  const { events = 1_000_000, keys = 1_000, eventsPerSecond = 640, outOfOrder = 0.05, seed = 1 } = options;
  let state = (seed % 2_147_483_646) + 1;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let id = 0; id < events; id++) {
    const now = START + Math.floor((id * 1_000) / eventsPerSecond);
    const at = random() < outOfOrder ? now - Math.floor(random() * GREATEST_DELAY_MS) : now;
    yield { id, at, user: Math.floor(random() * keys), cents: Math.floor(random() * 100_000) };
  }
}

export function textOf({ id, at, user, cents }: TumblingEvent): string {
  const amount = cents / 100;
  return `{"id":${id},"at":${at},"user":${user},"amount":${amount},"device":"android-${100_000 + (id % 9_973)}","country":"${id % 3 === 0 ? 'DE' : 'FR'}","channel":"app-store"}`;
}

/**
 * Fills a topic of the benchmark, which must exist, and ends each of its partitions with an event an hour later, so that
 * every window before is closed.
 */
export async function fillTumblingTopic(
  log: Log,
  topic: string,
  partitions: number,
  options: TumblingOptions = {},
): Promise<void> {
  const producer = await log.producer();
  try {
    let batch: OutgoingRecord[] = [];
    let last = START;
    for (const event of tumblingEvents(options)) {
      const key = String(event.user);
      batch.push({ topic, partition: partitionOf(key, partitions), key, value: textOf(event) });
      last = Math.max(last, event.at);
      if (batch.length < BATCH) continue;
      await producer.send(batch);
      batch = [];
    }
    for (let partition = 0; partition < partitions; partition++) {
      const closing = { id: -1 - partition, at: last + 60 * WINDOW_MS, user: CLOSING_USER, cents: 0 };
      batch.push({ topic, partition, key: String(CLOSING_USER), value: textOf(closing) });
    }
    await producer.send(batch);
  } finally {
    await producer.close();
  }
}

/** What windows must say, by `USER START`: count, sum and greatest amount in cents. */
export function expectedTumbling(
  options: TumblingOptions = {},
): Map<string, { count: number; cents: number; max: number }> {
  const windows = new Map<string, { count: number; cents: number; max: number }>();
  for (const { at, user, cents } of tumblingEvents(options)) {
    const window = `${user} ${Math.floor(at / WINDOW_MS) * WINDOW_MS}`;
    const known = windows.get(window);
    if (known === undefined) windows.set(window, { count: 1, cents, max: cents });
    else {
      known.count++;
      known.cents += cents;
      known.max = Math.max(known.max, cents);
    }
  }
  return windows;
}
