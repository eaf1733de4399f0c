import { describe, expect, test } from 'vitest';
import { eventStream, t } from '../../../index.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { decodeBlock, encodeBlock, type Block } from '../../../streams/blocks/block.js';

const { compiled: stream } = eventStream('payments', {
  schema: { id: t.int(), at: t.timestamp(), card: t.string(), paid: t.bool().nullable(), ratio: t.double().nullable() },
  eventId: 'id',
  eventTime: 'at',
  key: 'card',
});

const block: Block = {
  stage: 'card',
  upstream: 2,
  upstreams: 4,
  watermark: 1_000,
  progress: 1_500,
  isIdle: false,
  isLagging: true,
  isFeed: false,
  sourceTopic: 'p.payments',
  sourcePartition: 2,
  sourceRange: [3, 10],
  layout: 'abc',
  inputs: [
    ['v1', 1],
    ['v2', 1],
  ],
  absent: null,
  folded: { 'p.labels': { 2: 17 } },
  requests: { card: { 2: [0, 17] } },
  rows: [
    { offset: 5, values: [1, 1_000, 'é\u{10000}', true, 0.1], vector: Float64Array.of(1.5, Number.NaN), replay: null },
    {
      offset: 9,
      values: [2, 1_001, '', null, null],
      vector: Float64Array.of(0, -3),
      early: true,
      replay: { topic: 'p.payments', partition: 2, offset: 3, late: true },
    },
  ],
};

describe('a block', () => {
  test('reads back as it was written', () => {
    expect(decodeBlock(stream, encodeBlock(stream, block))).toEqual(block);
  });

  test('without rows carries progress alone', () => {
    expect(decodeBlock(stream, encodeBlock(stream, { ...block, rows: [] }))).toEqual({ ...block, rows: [] });
  });

  test('of before progress was announced is read: what it said was its watermark', () => {
    const bytes = encodeBlock(stream, block);
    const length = bytes.readUInt32LE(4);
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, unknown>;
    for (const name of ['watermark', 'isIdle', 'isLagging', 'isFeed', 'sourceRange', 'requests']) delete header[name];
    const json = Buffer.from(JSON.stringify({ ...header, progress: 900 }));
    const prefix = Buffer.alloc(8);
    prefix.write('TMB2', 0);
    prefix.writeUInt32LE(json.length, 4);
    const old = Buffer.concat([prefix, json, bytes.subarray(8 + length)]);
    expect(decodeBlock(stream, old)).toEqual({
      ...block,
      watermark: 900,
      progress: null,
      isIdle: false,
      isLagging: false,
      isFeed: false,
      sourceRange: null,
      requests: {},
    });
  });

  test.each([
    ['torn', (bytes: Buffer) => bytes.subarray(0, bytes.length - 3), stream],
    ['foreign', () => Buffer.from('{"id":1}'), stream],
    ['of another contract of the requests', (bytes: Buffer) => bytes, { ...stream, hash: 'other' }],
  ])('that is %s is refused', (_, damage, contract) => {
    let code = '';
    try {
      decodeBlock(contract, damage(encodeBlock(stream, block)));
    } catch (error) {
      code = isTidemillError(error) ? error.code : String(error);
    }
    expect(code).toBe('BLOCK_INVALID');
  });
});
