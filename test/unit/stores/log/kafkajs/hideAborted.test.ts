import { describe, expect, test } from 'vitest';
import {
  hideAborted,
  type FetchedPartition,
  type TransactionalRecord,
} from '../../../../../stores/log/kafkajs/hideAborted.js';

const data = (offset: number, producerId: string, inTransaction = true): TransactionalRecord => ({
  offset,
  key: null,
  isControlRecord: false,
  batchContext: { producerId, inTransaction },
});
const marker = (offset: number, producerId: string, kind: 'abort' | 'commit'): TransactionalRecord => ({
  offset,
  key: Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1]),
  isControlRecord: true,
  batchContext: { producerId, inTransaction: true },
});
const shown = (messages: TransactionalRecord[], aborted: [producer: string, first: number][]): number[] => {
  const partition: FetchedPartition = {
    messages,
    abortedTransactions: aborted.map(([producerId, first]) => ({ producerId, firstOffset: String(first) })),
  };
  hideAborted(partition);
  expect(partition.abortedTransactions).toEqual([]);
  return partition.messages.filter((each) => !each.isControlRecord).map(({ offset }) => offset);
};

describe('hiding aborted records', () => {
  test('enters transactions by their first offset, although the broker lists them by their end', () => {
    const messages = [data(444, '41'), data(445, '42'), marker(446, '42', 'abort'), marker(447, '41', 'abort')];
    expect(
      shown(messages, [
        ['42', 445],
        ['41', 444],
      ]),
    ).toEqual([]);
  });

  test('enters every transaction that began before the first record that was fetched', () => {
    const messages = [data(99, '2'), data(100, '1'), marker(101, '1', 'abort'), marker(102, '2', 'abort')];
    expect(
      shown(messages, [
        ['1', 90],
        ['2', 9],
      ]),
    ).toEqual([]);
  });

  test('shows what the same producer commits before and after, and what others commit in between', () => {
    const messages = [
      data(9, '1'),
      marker(10, '1', 'commit'),
      data(11, '1'),
      data(12, '2'),
      data(13, '1', false),
      marker(14, '1', 'abort'),
      data(15, '1'),
      marker(16, '2', 'commit'),
      marker(17, '1', 'commit'),
    ];
    expect(shown(messages, [['1', 11]])).toEqual([9, 12, 13, 15]);
  });

  test('leaves uncommitted reading and a partition without aborted transactions as they are', () => {
    const messages = [data(1, '1')];
    hideAborted({ messages, abortedTransactions: null });
    hideAborted({ messages });
    hideAborted({ messages, abortedTransactions: [] });
    expect(messages[0]?.isControlRecord).toBe(false);
  });
});
