import { TidemillError } from '../../contracts/errors.js';
import type { OutgoingRecord } from './log.js';

/**
 * Brokers take 1 MiB at a time of one partition unless they are told otherwise (`max.message.bytes`), and the library sends
 * whatever it is given as one batch. Some room is left for the batch itself.
 */
const MAX_BATCH_BYTES = 1_000_000;
/** What a record adds at most besides its key, value and headers; and each of its headers. */
const RECORD_OVERHEAD = 40;
const HEADER_OVERHEAD = 10;

/**
 * The records in their order, by the batches that they are sent in: none is larger than what brokers take by default, but one of
 * a single record that is.
 *
 *   400 kB  500 kB  300 kB  2 MB  10 kB     =>     [400 kB, 500 kB]  [300 kB]  [2 MB]  [10 kB]
 */
export function* batchesOf(records: readonly OutgoingRecord[]): Generator<readonly OutgoingRecord[]> {
  let from = 0;
  let bytes = 0;
  for (let at = 0; at < records.length; at++) {
    const size = sizeOf(records[at] as OutgoingRecord);
    if (at > from && bytes + size > MAX_BATCH_BYTES) {
      yield records.slice(from, at);
      from = at;
      bytes = 0;
    }
    bytes += size;
  }
  yield from === 0 ? records : records.slice(from);
}

/** The error of a batch that the broker found too large: it says which record is the largest. */
export function recordTooLarge(batch: readonly OutgoingRecord[], cause: unknown): TidemillError {
  const sizes = batch.map(sizeOf);
  const bytes = Math.max(...sizes);
  const { topic = '' } = batch[sizes.indexOf(bytes)] ?? {};
  const text = `${topic}: the broker takes no batch of ${batch.length} records, the largest of which has ${bytes} bytes`;
  return new TidemillError('RECORD_TOO_LARGE', text, { topic, bytes, records: batch.length }, { cause });
}

function sizeOf({ key, value, headers }: OutgoingRecord): number {
  let size = RECORD_OVERHEAD + lengthOf(key) + lengthOf(value);
  if (headers === undefined) return size;
  for (const name in headers) size += HEADER_OVERHEAD + lengthOf(name) + lengthOf(headers[name] as Buffer | string);
  return size;
}

function lengthOf(content: Buffer | string | null): number {
  return content === null ? 0 : typeof content === 'string' ? Buffer.byteLength(content) : content.length;
}
