import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../../../models/statistics/random.js';
import { decodeRecords } from '../../../../../stores/log/kafkajs/decodeRecords.js';
import {
  crc32c,
  encodeProduce,
  type ProducedRecord,
  type ProduceRequest,
} from '../../../../../stores/log/kafkajs/encodeProduce.js';
import { FetchedBatch } from '../../../../../stores/log/kafkajs/fetchedBatch.js';

const require = createRequire(import.meta.url);
const NOW = 1_700_000_000_000;
const none = (): Promise<Buffer> => Promise.reject(new Error('nothing is compressed'));

/** The client library's own modules, which this file has not replaced. */
const original = {
  request: require('kafkajs/src/protocol/requests/produce/v3/request.js') as (request: object) => {
    encode(): Promise<{ buffer: Buffer }>;
  },
  decode: require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js') as (decoder: object) => Promise<
    {
      offset: string;
      timestamp: string;
      key: Buffer | null;
      value: Buffer | null;
      headers: Record<string, Buffer>;
    }[]
  >,
  Decoder: require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => object,
};

const TEXTS = ['', 'plain', 'größer', '日本語', 'a🎉b', 'x'.repeat(300), 'ü'.repeat(20_000)];

/** Requests as producers may make them: texts and bytes, nulls, headers, times that go back. */
function drawRequest(seed: number): ProduceRequest {
  const random = seededRandom(seed);
  const text = (): string => TEXTS[random.below(TEXTS.length)] as string;
  const content = (): Buffer | string | null =>
    [null, text(), Buffer.from(text())][random.below(3)] as Buffer | string | null;
  const record = (): ProducedRecord => ({
    key: content(),
    value: content(),
    ...(random.below(2) === 0 ? {} : { headers: { [text()]: text(), other: Buffer.from(text()) } }),
    timestamp: NOW + random.below(2_000_000_000) - 1_000_000_000,
  });
  const isTransactional = random.below(2) === 0;
  return {
    acks: -1,
    timeout: 30_000,
    transactionalId: isTransactional ? 'größer' : null,
    ...(isTransactional ? { producerId: '4294967297000', producerEpoch: 7 } : {}),
    topicData: Array.from({ length: 1 + random.below(3) }, (_, topic) => ({
      topic: `topic-${topic}`,
      partitions: Array.from({ length: 1 + random.below(3) }, (_, partition) => ({
        partition,
        firstSequence: random.below(1_000_000),
        messages: Array.from({ length: 1 + random.below(200) }, record),
      })),
    })),
  };
}

/** The record batches of a request, by where they are in its bytes. */
function batchesOf(request: ProduceRequest): Buffer[] {
  const bytes = encodeProduce(request, NOW);
  const found: Buffer[] = [];
  let at = 2 + Buffer.byteLength(request.transactionalId ?? '') + 2 + 4 + 4;
  for (const { topic, partitions } of request.topicData) {
    at += 2 + topic.length + 4;
    for (const _ of partitions) {
      const size = bytes.readInt32BE(at + 4);
      found.push(bytes.subarray(at + 8, at + 8 + size));
      at += 8 + size;
    }
  }
  expect(at).toBe(bytes.length);
  return found;
}

describe('records on their way to the broker', () => {
  test('are the bytes of the client library, where all have one time', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const drawn = drawRequest(seed);
      const request = {
        ...drawn,
        topicData: drawn.topicData.map(({ topic, partitions }) => ({
          topic,
          partitions: partitions.map((each) => ({
            ...each,
            messages: each.messages.map((message) => ({ ...message, timestamp: NOW })),
          })),
        })),
      };
      const expected = (await original.request({ producerEpoch: 0, ...request }).encode()).buffer;
      expect(encodeProduce(request, NOW).equals(expected)).toBe(true);
    }
  });

  test('are what the client library decodes, whatever their times', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const request = drawRequest(seed);
      const all = request.topicData.flatMap(({ partitions }) => partitions);
      for (const [number, batch] of batchesOf(request).entries()) {
        const sized = Buffer.concat([Buffer.alloc(4), batch]);
        sized.writeInt32BE(batch.length);
        const decoded = await original.decode(new original.Decoder(sized));
        const sent = all[number]?.messages ?? [];
        expect(decoded.map(({ timestamp }) => Number(timestamp))).toEqual(sent.map(({ timestamp }) => timestamp));
        expect(decoded.map(({ value }) => value?.toString())).toEqual(sent.map(({ value }) => value?.toString()));
      }
    }
  });
});

describe('records that come from the broker', () => {
  test('are what was sent', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const request = drawRequest(seed);
      const all = request.topicData.flatMap(({ partitions }) => partitions);
      for (const [number, batch] of batchesOf(request).entries()) {
        const records = await decodeRecords(batch, none);
        const sent = all[number]?.messages ?? [];
        const plain = (each: ProducedRecord) => ({
          key: each.key?.toString(),
          value: each.value?.toString(),
          timestamp: each.timestamp,
          headers: Object.entries(each.headers ?? {}).map(([name, value]) => [name, value.toString()]),
        });
        expect(records.map(({ offset }) => offset)).toEqual(sent.map((_, offset) => offset));
        expect(records.map((each) => plain(each as ProducedRecord))).toEqual(sent.map(plain));
        expect(records.every(({ batchContext }) => batchContext.inTransaction === (request.transactionalId !== null)));
      }
    }
  });

  test('are left for the next answer where their batch is cut off', async () => {
    const [first, second] = [drawRequest(1), drawRequest(2)].map((request) => batchesOf(request)[0] as Buffer);
    const whole = (await decodeRecords(first as Buffer, none)).length;
    const both = Buffer.concat([first as Buffer, second as Buffer]);
    for (const cut of [1, 11, 40, 61, 62, 100]) {
      const bytes = both.subarray(0, (first as Buffer).length + cut);
      expect((await decodeRecords(bytes, none)).length).toBe(whole);
    }
  });

  test('of before Kafka 0.11 are refused by a code', async () => {
    const old = Buffer.alloc(100);
    old[16] = 1;
    await expect(decodeRecords(old, none)).rejects.toMatchObject({ code: 'LOG_FORMAT_UNSUPPORTED' });
  });

  test('come from the offset that was asked for, without the records that are hidden', async () => {
    const records = await decodeRecords(batchesOf(drawRequest(3))[0] as Buffer, none);
    const hidden = records[5];
    if (hidden !== undefined) hidden.isControlRecord = true;
    const batch = new FetchedBatch('t', '3', { partition: 2, highWatermark: '1000', messages: records });
    const offsets = batch.messages.map(({ offset }) => offset);
    expect(offsets).toEqual(records.map(({ offset }) => offset).filter((offset) => offset >= 3 && offset !== 5));
    expect(batch.messages[0]).toMatchObject({ topic: 't', partition: 2 });
    expect([batch.firstOffset(), batch.lastOffset()]).toEqual(['3', String(records.length - 1)]);
    expect(batch.offsetLagLow()).toBe('996');
  });
});

test('a checksum is CRC-32C', () => {
  // The check value of the polynomial's catalogue entry.
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283);
});
