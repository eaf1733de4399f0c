import type { Batch } from 'kafkajs';
import type { LogRecord } from '../log.js';
import type { FetchedRecord } from './fetchedRecord.js';

/** One partition of a fetch answer, as the client library hands it over. */
export interface PartitionAnswer {
  readonly partition: number;
  readonly highWatermark: string;
  readonly messages: FetchedRecord[];
}

/**
 * What one fetch brought of a partition, in place of the client library's class of the same interface, which compares the
 * offsets of all records as texts of whole numbers. Aborted records are control records by then (see hideAborted.ts).
 */
export class FetchedBatch {
  readonly partition: number;
  readonly highWatermark: string;
  readonly rawMessages: readonly FetchedRecord[];
  /** A broker answers with whole record batches, which may begin before the offset that was asked for. */
  readonly messagesWithinOffset: readonly FetchedRecord[];
  readonly messages: readonly FetchedRecord[];

  constructor(
    readonly topic: string,
    readonly fetchedOffset: string,
    { partition, highWatermark, messages }: PartitionAnswer,
  ) {
    this.partition = partition;
    this.highWatermark = highWatermark;
    this.rawMessages = messages;
    const wanted = Number(fetchedOffset);
    const first = messages.findIndex(({ offset }) => offset >= wanted);
    this.messagesWithinOffset = first === 0 ? messages : first === -1 ? [] : messages.slice(first);
    let hasControl = false;
    for (const record of this.messagesWithinOffset) {
      record.topic = topic;
      record.partition = partition;
      hasControl ||= record.isControlRecord;
    }
    this.messages = hasControl
      ? this.messagesWithinOffset.filter(({ isControlRecord }) => !isControlRecord)
      : this.messagesWithinOffset;
  }

  isEmpty(): boolean {
    return this.messages.length === 0;
  }

  isEmptyIncludingFiltered(): boolean {
    return this.messagesWithinOffset.length === 0;
  }

  isEmptyDueToFiltering(): boolean {
    return this.isEmpty() && this.rawMessages.length > 0;
  }

  isEmptyControlRecord(): boolean {
    return this.isEmpty() && this.messagesWithinOffset.some(({ isControlRecord }) => isControlRecord);
  }

  isEmptyDueToLogCompactedMessages(): boolean {
    return this.rawMessages.length > 0 && this.isEmptyIncludingFiltered();
  }

  firstOffset(): string | null {
    const [first] = this.messagesWithinOffset;
    return first === undefined ? null : String(first.offset);
  }

  lastOffset(): string {
    if (this.isEmptyDueToLogCompactedMessages()) return this.fetchedOffset;
    const last = this.messagesWithinOffset.at(-1);
    return last === undefined ? String(Number(this.highWatermark) - 1) : String(last.offset);
  }

  /** Records between the last one fetched and the end of the partition. */
  offsetLag(): string {
    return String(Number(this.highWatermark) - 1 - Number(this.lastOffset()));
  }

  /** The same from the first one fetched on. */
  offsetLagLow(): string {
    return this.isEmptyIncludingFiltered()
      ? '0'
      : String(Number(this.highWatermark) - 1 - Number(this.firstOffset() ?? '0'));
  }
}

/** The records of a batch as they are: its type, the client library's, does not know them. */
export function recordsOf(batch: Batch): readonly LogRecord[] {
  return (batch as unknown as FetchedBatch).messages;
}
