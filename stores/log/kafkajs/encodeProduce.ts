/** One record on its way out, as it goes through the client library. */
export interface ProducedRecord {
  readonly key: Buffer | string | null;
  readonly value: Buffer | string | null;
  readonly headers?: Readonly<Record<string, Buffer | string>>;
  /** ms. @default the time of the request */
  readonly timestamp?: number;
}

/** A produce request of version 3 to 7, as the client library asks for it. */
export interface ProduceRequest {
  readonly acks: number;
  readonly timeout: number;
  readonly transactionalId?: string | null;
  /** 64-bit number as text; absent without idempotence. */
  readonly producerId?: string;
  readonly producerEpoch?: number;
  readonly topicData: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly firstSequence?: number;
      readonly messages: readonly ProducedRecord[];
    }[];
  }[];
}

const MAGIC = 2;
const IN_TRANSACTION = 16;
/** What a record adds at most besides its key, value and headers. */
const RECORD_OVERHEAD = 5 + 1 + 10 + 5 + 5 + 5 + 5;
const BATCH_OVERHEAD = 80;

/**
 * Encodes a produce request in one pass into one buffer, its record batches in the format of KIP-98.
 *
 *   request  transactional id, acks, timeout, [topic, [partition, size, record batch]]
 *
 * @param now ms; time of records without one.
 */
export function encodeProduce(request: ProduceRequest, now: number): Buffer {
  return new ProduceEncoder(sizeOf(request)).encode(request, now);
}

/** An upper bound. */
function sizeOf({ transactionalId, topicData }: ProduceRequest): number {
  let size = 64 + 3 * (transactionalId?.length ?? 0);
  for (const { topic, partitions } of topicData) {
    size += 16 + 3 * topic.length;
    for (const { messages } of partitions) {
      size += BATCH_OVERHEAD;
      for (const { key, value, headers } of messages) {
        size += RECORD_OVERHEAD + bound(key) + bound(value);
        if (headers === undefined) continue;
        for (const name in headers) size += 10 + bound(name) + bound(headers[name] as Buffer | string);
      }
    }
  }
  return size;
}

/** Bytes at most: a UTF-16 unit has three at most in UTF-8. */
function bound(value: Buffer | string | null): number {
  return value === null ? 0 : typeof value === 'string' ? value.length * 3 : value.length;
}

class ProduceEncoder {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  encode(request: ProduceRequest, now: number): Buffer {
    const { transactionalId = null, acks, timeout, topicData } = request;
    this.string(transactionalId);
    this.int16(acks);
    this.int32(timeout);
    this.int32(topicData.length);
    for (const { topic, partitions } of topicData) {
      this.string(topic);
      this.int32(partitions.length);
      for (const { partition, messages, firstSequence } of partitions) {
        this.int32(partition);
        const sizeAt = this.at;
        this.at += 4;
        this.batch(request, messages, firstSequence ?? 0, now);
        this.bytes.writeInt32BE(this.at - sizeAt - 4, sizeAt);
      }
    }
    return this.bytes.subarray(0, this.at);
  }

  private batch(
    { producerId = '-1', producerEpoch = 0, transactionalId }: ProduceRequest,
    messages: readonly ProducedRecord[],
    firstSequence: number,
    now: number,
  ): void {
    const { bytes } = this;
    const start = this.at;
    const firstTimestamp = messages[0]?.timestamp ?? now;
    let maxTimestamp = firstTimestamp;
    for (const { timestamp = now } of messages) if (timestamp > maxTimestamp) maxTimestamp = timestamp;
    bytes.writeBigInt64BE(0n, start);
    bytes.writeInt32BE(0, start + 12);
    bytes[start + 16] = MAGIC;
    bytes.writeInt16BE(transactionalId === undefined || transactionalId === null ? 0 : IN_TRANSACTION, start + 21);
    bytes.writeInt32BE(messages.length - 1, start + 23);
    bytes.writeBigInt64BE(BigInt(firstTimestamp), start + 27);
    bytes.writeBigInt64BE(BigInt(maxTimestamp), start + 35);
    bytes.writeBigInt64BE(BigInt(producerId), start + 43);
    bytes.writeInt16BE(producerEpoch, start + 51);
    bytes.writeInt32BE(firstSequence, start + 53);
    bytes.writeInt32BE(messages.length, start + 57);
    this.at = start + 61;
    for (let number = 0; number < messages.length; number++) {
      const message = messages[number] as ProducedRecord;
      this.record(message, number, (message.timestamp ?? now) - firstTimestamp);
    }
    bytes.writeInt32BE(this.at - start - 12, start + 8);
    bytes.writeUInt32BE(crc32c(bytes, start + 21, this.at), start + 17);
  }

  private record({ key, value, headers }: ProducedRecord, offsetDelta: number, timestampDelta: number): void {
    const keyLength = lengthOf(key);
    const valueLength = lengthOf(value);
    const names = headers === undefined ? NONE : Object.keys(headers);
    let size =
      1 +
      sizeOfVarint(timestampDelta) +
      sizeOfVarint(offsetDelta) +
      sizeOfVarint(keyLength) +
      Math.max(0, keyLength) +
      sizeOfVarint(valueLength) +
      Math.max(0, valueLength) +
      sizeOfVarint(names.length);
    for (const name of names) {
      const [nameLength, headerLength] = [lengthOf(name), lengthOf(headers?.[name] as Buffer | string)];
      size += sizeOfVarint(nameLength) + nameLength + sizeOfVarint(headerLength) + headerLength;
    }
    this.varint(size);
    this.bytes[this.at++] = 0;
    this.varint(timestampDelta);
    this.varint(offsetDelta);
    this.varint(keyLength);
    this.content(key, keyLength);
    this.varint(valueLength);
    this.content(value, valueLength);
    this.varint(names.length);
    for (const name of names) {
      const content = headers?.[name] as Buffer | string;
      const [nameLength, headerLength] = [lengthOf(name), lengthOf(content)];
      this.varint(nameLength);
      this.content(name, nameLength);
      this.varint(headerLength);
      this.content(content, headerLength);
    }
  }

  private content(value: Buffer | string | null, length: number): void {
    if (value === null) return;
    if (typeof value !== 'string') value.copy(this.bytes, this.at);
    // As many bytes as units: all of them are ASCII.
    else if (length === value.length) this.bytes.write(value, this.at, 'latin1');
    else this.bytes.write(value, this.at, 'utf8');
    this.at += length;
  }

  /** A signed number of up to 52 bits in zigzag and seven bits a byte. */
  private varint(value: number): void {
    let left = value >= 0 ? value * 2 : -value * 2 - 1;
    while (left >= 128) {
      this.bytes[this.at++] = (left % 128) | 0x80;
      left = Math.floor(left / 128);
    }
    this.bytes[this.at++] = left;
  }

  private string(value: string | null): void {
    const length = lengthOf(value);
    this.int16(length);
    this.content(value, length);
  }

  private int16(value: number): void {
    this.at = this.bytes.writeInt16BE(value, this.at);
  }

  private int32(value: number): void {
    this.at = this.bytes.writeInt32BE(value, this.at);
  }
}

const NONE: readonly string[] = [];

/** Length in bytes; -1 for null. */
function lengthOf(value: Buffer | string | null): number {
  return value === null ? -1 : typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

function sizeOfVarint(value: number): number {
  let left = value >= 0 ? value * 2 : -value * 2 - 1;
  let size = 1;
  while (left >= 128) {
    left = Math.floor(left / 128);
    size++;
  }
  return size;
}

/** Tables of CRC-32C (Castagnoli) for eight bytes at a time: table k is that of a byte with k bytes after it. */
const CRC_TABLES = crcTables();

function crcTables(): readonly Int32Array[] {
  const first = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
    first[byte] = crc;
  }
  const tables = [first];
  for (let k = 1; k < 8; k++) {
    const before = tables[k - 1] as Int32Array;
    tables.push(before.map((crc) => (crc >>> 8) ^ (first[crc & 0xff] as number)));
  }
  return tables;
}

/** CRC-32C of a part of a buffer, eight bytes at a time (Intel's slicing-by-8). */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = CRC_TABLES as unknown as readonly [
    ...[Int32Array, Int32Array, Int32Array, Int32Array],
    ...[Int32Array, Int32Array, Int32Array, Int32Array],
  ];
  let crc = -1;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (t7[crc & 0xff] as number) ^
      (t6[(crc >>> 8) & 0xff] as number) ^
      (t5[(crc >>> 16) & 0xff] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number);
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
}
