import { expect, test } from 'vitest';
import { REPLAY_HEADER, replayMarkOf } from '../../../contracts/deadLetters.js';
import { TidemillError } from '../../../contracts/errors.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { deadLetterOf } from '../../../streams/runtime/foldRecord.js';

const record: LogRecord = {
  topic: 'p.payments',
  partition: 2,
  offset: 40,
  timestamp: 0,
  key: Buffer.from([0xff, 0]),
  value: Buffer.from('{'),
  headers: { trace: Buffer.from('abc'), code: 'mine' },
};
const reason = new TidemillError('EVENT_MALFORMED', 'no object');

test('a dead letter holds the bytes, the headers and the place of its record, and why it failed', () => {
  expect(deadLetterOf('p', record, reason)).toEqual({
    topic: 'p.dead-letters',
    key: record.key,
    value: record.value,
    headers: {
      'header.trace': Buffer.from('abc'),
      'header.code': 'mine',
      'original-topic': 'p.payments',
      'original-partition': '2',
      'original-offset': '40',
      code: 'EVENT_MALFORMED',
      message: 'no object',
      attempt: '1',
    },
  });
});

test('a replay that fails again says where it failed first, and how often', () => {
  const mark = { topic: 'p.payments', partition: 2, offset: 7, attempt: 2 };
  const { headers } = deadLetterOf('p', { ...record, headers: { [REPLAY_HEADER]: JSON.stringify(mark) } }, reason);
  expect(headers).toMatchObject({ 'original-offset': '40', 'first-partition': '2', 'first-offset': '7', attempt: '3' });
});

test.each(['', '{', 'null', '1', '{}', '{"topic":"p","partition":0,"offset":-1,"attempt":1}'])(
  'a header that no replay wrote makes no replay: %j',
  (text) => {
    expect(replayMarkOf(Buffer.from(text))).toBeNull();
  },
);
