import { TidemillError } from '../../contracts/errors.js';
import type { LogRecord, OutgoingRecord, ReadRange, TopicPartition } from './log.js';
import { partitionOf } from './partitioner.js';
import { topicMismatch } from './topicMismatch.js';

/** A transaction's records share its state, which decides whether they are seen. */
export interface MemoryTransaction {
  state: 'open' | 'committed' | 'aborted';
  /** Partitions that it wrote to, with the first offset in each. */
  readonly places: Map<string, number>;
  readonly offsets: { group: string; place: string; offset: number; metadata: string }[];
}

/** A marker takes an offset and is never delivered, as in Kafka. */
type Entry = { readonly record: LogRecord; readonly transaction: MemoryTransaction | null } | { readonly marker: true };

/** Name of a partition in the maps of the log in memory. */
export const placeOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

/** Topics, their records, and which of them can be seen. */
export class MemoryPartitions {
  private readonly entries = new Map<string, Entry[]>();
  private readonly counts = new Map<string, number>();
  private readonly ids = new Map<string, string>();
  private created = 0;
  private readonly open = new Set<MemoryTransaction>();

  /**
   * @param clock log timestamps, ms.
   * @param onChange something was written or decided.
   */
  constructor(
    private readonly clock: () => number,
    private readonly onChange: () => void,
  ) {}

  /** @throws TidemillError TOPIC_MISMATCH */
  ensure(topic: string, partitions: number): void {
    const found = this.counts.get(topic);
    if (found !== undefined && found !== partitions) throw topicMismatch(topic, found, partitions);
    if (found === undefined) this.ids.set(topic, String(++this.created));
    this.counts.set(topic, partitions);
    for (let partition = 0; partition < partitions; partition++) {
      const place = placeOf({ topic, partition });
      if (!this.entries.has(place)) this.entries.set(place, []);
    }
  }

  delete(topic: string): void {
    for (const partition of this.of(topic)) this.entries.delete(placeOf(partition));
    this.counts.delete(topic);
    this.ids.delete(topic);
  }

  get topics(): readonly string[] {
    return [...this.counts.keys()];
  }

  count(topic: string): number | null {
    return this.counts.get(topic) ?? null;
  }

  /** Identity of a topic; null where it does not exist. */
  id(topic: string): string | null {
    return this.ids.get(topic) ?? null;
  }

  /** The partitions of a topic; none where it does not exist. */
  of(topic: string): readonly TopicPartition[] {
    return Array.from({ length: this.counts.get(topic) ?? 0 }, (_, partition) => ({ topic, partition }));
  }

  /** The next offset to be written. */
  end(place: string): number {
    return this.entriesOf(place).length;
  }

  /** The first offset that an open transaction hides, or the end. */
  lastStable(place: string): number {
    let stable = this.end(place);
    for (const { places } of this.open) stable = Math.min(stable, places.get(place) ?? stable);
    return stable;
  }

  /** Offset of the first record of a log time or later; null where there is none. */
  offsetAt(place: string, timestamp: number): number | null {
    const at = this.entriesOf(place).findIndex((entry) => 'record' in entry && entry.record.timestamp >= timestamp);
    return at === -1 ? null : at;
  }

  /** Visible records in [from, to). */
  visible(place: string, from: number, to: number, isolation: NonNullable<ReadRange['isolation']>): LogRecord[] {
    const records: LogRecord[] = [];
    for (const entry of this.entriesOf(place).slice(from, to)) {
      if ('marker' in entry) continue;
      const { transaction } = entry;
      if (isolation === 'uncommitted' || transaction === null || transaction.state === 'committed')
        records.push(entry.record);
    }
    return records;
  }

  append(records: readonly OutgoingRecord[], transaction: MemoryTransaction | null): void {
    const bytes = (data: Buffer | string | null): Buffer | null =>
      typeof data === 'string' ? Buffer.from(data) : data;
    for (const { topic, partition, key, value, headers } of records) {
      const count = this.counts.get(topic);
      if (count === undefined) throw new TidemillError('STREAM_NOT_FOUND', `topic ${topic} does not exist`, { topic });
      const to = partition ?? (key === null ? 0 : partitionOf(key, count));
      const place = placeOf({ topic, partition: to });
      const entries = this.entriesOf(place);
      const record: LogRecord = {
        topic,
        partition: to,
        offset: entries.length,
        timestamp: this.clock(),
        key: bytes(key),
        value: bytes(value),
        headers: headers ?? {},
      };
      entries.push({ record, transaction });
      if (transaction !== null && !transaction.places.has(place)) transaction.places.set(place, record.offset);
    }
    this.onChange();
  }

  begin(): MemoryTransaction {
    const transaction: MemoryTransaction = { state: 'open', places: new Map(), offsets: [] };
    this.open.add(transaction);
    return transaction;
  }

  /** Decides a transaction: its records become visible together, or never, and each partition gets a marker. */
  decide(transaction: MemoryTransaction, state: 'committed' | 'aborted'): void {
    transaction.state = state;
    this.open.delete(transaction);
    for (const place of transaction.places.keys()) this.entriesOf(place).push({ marker: true });
  }

  private entriesOf(place: string): Entry[] {
    const entries = this.entries.get(place);
    if (entries === undefined) throw new TidemillError('STREAM_NOT_FOUND', `${place} does not exist`, { place });
    return entries;
  }
}
