import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKafka } from '../../../stores/log/kafkaClient.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';

const place = { topic: 'events', partition: 0 };
const group = 'readers';
let kafka: TestKafka;

beforeAll(async () => {
  kafka = await startTestKafka();
}, 120_000);
afterAll(() => kafka.stop());

test('a member whose next records are gone is told so: it does not go on behind the gap', async () => {
  const { log } = kafka;
  await log.ensureTopics([{ topic: place.topic, partitions: 1 }]);
  const producer = await log.producer();
  await producer.send(Array.from({ length: 10 }, (_, at) => ({ ...place, key: null, value: `${at}` })));
  await producer.close();
  await log.commitOffsets(group, [{ ...place, offset: 2 }]);
  const delivered: LogRecord[] = [];
  const errors: unknown[] = [];
  let assigned: () => void = () => undefined;
  const isAssigned = new Promise<void>((resolve) => (assigned = resolve));
  const member = await log.join({
    group,
    topics: [place.topic],
    memberName: 'one',
    taskOf: () => 'only',
    onAssigned: () => assigned(),
    onRecords: (records) => delivered.push(...records),
    onPosition: () => undefined,
    onError: (error) => errors.push(error),
  });
  await isAssigned;
  // What retention does to a task that is paused for too long.
  const admin = createKafka({ brokers: [kafka.broker], clientId: 'retention' }).admin();
  await admin.connect();
  await admin.fetchTopicOffsets(place.topic);
  await admin.deleteTopicRecords({ topic: place.topic, partitions: [{ partition: 0, offset: '5' }] });
  await admin.disconnect();
  member.seekAndResume(place, 2);
  while (errors.length === 0 && delivered.length === 0) await sleep(20);
  expect(delivered).toEqual([]);
  expect(errors).toMatchObject([{ code: 'OFFSET_LOST', details: { ...place, wanted: 2 } }]);
  await member.leave();
  // What its tasks had committed stands.
  expect(await log.committed(group, [place])).toMatchObject([{ offset: 2 }]);
}, 40_000);
