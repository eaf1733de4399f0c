import { TidemillError } from '../../../contracts/errors.js';
import type { LogRecord } from '../log.js';
import { FetchedRecord } from './fetchedRecord.js';

/** The record batch format of Kafka since 0.11 (KIP-98): https://kafka.apache.org/documentation/#recordbatch */
const MAGIC = 2;
const MAGIC_AT = 16;
/** Offset and length, which the length does not count. */
const BEFORE_LENGTH = 12;
const RECORDS_AT = 61;

const CODEC_MASK = 0x7;
const APPEND_TIME = 0x8;
const IN_TRANSACTION = 0x10;
const CONTROL = 0x20;

/** Decompresses the records of a batch, by the codec that its attributes name. */
export type Decompress = (attributes: number, bytes: Buffer) => Promise<Buffer>;

const NO_HEADERS: LogRecord['headers'] = Object.freeze({});

/**
 * Decodes the record batches of one partition of a fetch answer. The last one may be cut off, as brokers fill an answer up
 * to its limit: it comes whole with the next.
 *
 * @throws TidemillError LOG_FORMAT_UNSUPPORTED for records in the format of before Kafka 0.11.
 */
export async function decodeRecords(bytes: Buffer, decompress: Decompress): Promise<FetchedRecord[]> {
  const records: FetchedRecord[] = [];
  for (let start = 0; start + RECORDS_AT <= bytes.length;) {
    const end = start + BEFORE_LENGTH + bytes.readInt32BE(start + 8);
    const magic = bytes[start + MAGIC_AT] as number;
    if (magic !== MAGIC) {
      throw new TidemillError('LOG_FORMAT_UNSUPPORTED', `a record batch is of format ${magic}, not ${MAGIC}`, {
        magic,
      });
    }
    if (end > bytes.length) break;
    const attributes = bytes.readInt16BE(start + 21);
    const isCompressed = (attributes & CODEC_MASK) !== 0;
    const body = isCompressed ? await decompress(attributes, bytes.subarray(start + RECORDS_AT, end)) : bytes;
    decodeBatch(bytes, start, body, isCompressed ? 0 : start + RECORDS_AT, records);
    start = end;
  }
  return records;
}

/** Where the reader stands in the records of a batch. */
let at = 0;

function decodeBatch(header: Buffer, start: number, body: Buffer, from: number, into: FetchedRecord[]): void {
  const attributes = header.readInt16BE(start + 21);
  const firstOffset = readInt64(header, start);
  const firstTimestamp = readInt64(header, start + 27);
  const appendTime = (attributes & APPEND_TIME) === 0 ? null : readInt64(header, start + 35);
  const isControl = (attributes & CONTROL) !== 0;
  const context = {
    producerId: header.readBigInt64BE(start + 43).toString(),
    inTransaction: (attributes & IN_TRANSACTION) !== 0,
  };
  const count = header.readInt32BE(start + 57);
  at = from;
  for (let number = 0; number < count; number++) {
    const length = readVarint(body);
    const next = at + length;
    at++; // attributes of a record are not in use
    const timestamp = appendTime ?? firstTimestamp + readVarlong(body);
    if (appendTime !== null) readVarlong(body);
    const offset = firstOffset + readVarint(body);
    const keyLength = readVarint(body);
    const keyStart = keyLength < 0 ? -1 : at;
    const keyEnd = keyLength < 0 ? -1 : at + keyLength;
    if (keyLength > 0) at += keyLength;
    const valueLength = readVarint(body);
    const valueStart = valueLength < 0 ? -1 : at;
    const valueEnd = valueLength < 0 ? -1 : at + valueLength;
    if (valueLength > 0) at += valueLength;
    const headers = readHeaders(body);
    into.push(
      new FetchedRecord(context, body, offset, timestamp, keyStart, keyEnd, valueStart, valueEnd, headers, isControl),
    );
    at = next;
  }
}

/** Of several headers with one name the last counts. */
function readHeaders(bytes: Buffer): LogRecord['headers'] {
  const count = readVarint(bytes);
  if (count <= 0) return NO_HEADERS;
  const headers: Record<string, Buffer | undefined> = {};
  for (let number = 0; number < count; number++) {
    const nameLength = readVarint(bytes);
    const name = bytes.toString('utf8', at, at + nameLength);
    at += nameLength;
    const valueLength = readVarint(bytes);
    headers[name] = valueLength < 0 ? undefined : bytes.subarray(at, at + valueLength);
    if (valueLength > 0) at += valueLength;
  }
  return headers;
}

/** A signed 32-bit number in zigzag and seven bits a byte. */
function readVarint(bytes: Buffer): number {
  let value = 0;
  let shift = 0;
  for (;;) {
    const byte = bytes[at++] as number;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    shift += 7;
  }
}

/** The same for up to 53 bits: times and their differences. */
function readVarlong(bytes: Buffer): number {
  let value = 0;
  let factor = 1;
  for (;;) {
    const byte = bytes[at++] as number;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
    factor *= 128;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** Offsets and times are far below 2^53. */
function readInt64(bytes: Buffer, position: number): number {
  return bytes.readInt32BE(position) * 4_294_967_296 + bytes.readUInt32BE(position + 4);
}
