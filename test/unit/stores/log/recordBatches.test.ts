import { expect, test } from 'vitest';
import { batchesOf, recordTooLarge } from '../../../../stores/log/recordBatches.js';
import type { OutgoingRecord } from '../../../../stores/log/log.js';

const record = (bytes: number, more: Partial<OutgoingRecord> = {}): OutgoingRecord => ({
  topic: 'a',
  key: null,
  value: Buffer.alloc(bytes),
  ...more,
});
const sizesOf = (records: readonly OutgoingRecord[]): (number | undefined)[][] =>
  [...batchesOf(records)].map((batch) => batch.map(({ value }) => value?.length));

test('records that fit go together, as they are', () => {
  const records = [record(10), record(20)];
  const batches = [...batchesOf(records)];
  expect(batches).toHaveLength(1);
  expect(batches[0]).toBe(records);
});

test('a batch ends before it is larger than what brokers take by default; larger records go alone; the order stays', () => {
  const sizes = [400_000, 500_000, 300_000, 2_000_000, 10_000];
  expect(sizesOf(sizes.map((bytes) => record(bytes)))).toEqual([[400_000, 500_000], [300_000], [2_000_000], [10_000]]);
  expect(sizesOf([record(2_000_000), record(1)])).toEqual([[2_000_000], [1]]);
});

test('what counts is bytes, those of keys and headers, and what each record adds', () => {
  const umlauts = record(0, { key: 'ü'.repeat(300_000), value: null });
  expect([...batchesOf([umlauts, umlauts])]).toHaveLength(2);
  const headed = record(0, { headers: { trace: Buffer.alloc(600_000) } });
  expect([...batchesOf([headed, headed])]).toHaveLength(2);
  const many = Array.from({ length: 50_000 }, () => record(1));
  expect([...batchesOf(many)].length).toBeGreaterThan(1);
});

test('what the broker finds too large is named by its largest record', () => {
  const error = recordTooLarge([record(10), record(5_000, { topic: 'b' })], new Error('no'));
  expect(error).toMatchObject({ code: 'RECORD_TOO_LARGE', details: { topic: 'b', records: 2 } });
  expect(error.message).toMatch(/^b: the broker takes no batch of 2 records, the largest of which has 50\d\d bytes$/);
});
