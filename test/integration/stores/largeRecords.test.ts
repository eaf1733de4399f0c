import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OutgoingRecord } from '../../../stores/log/log.js';
import { readTopic } from '../../../activities/audit/readTopic.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';

/** What the broker takes at a time of one partition. */
const LIMIT = 8_388_608;

let kafka: TestKafka;
beforeAll(async () => {
  kafka = await startTestKafka();
}, 120_000);
afterAll(() => kafka.stop());

const records = (topic: string, ...sizes: number[]): OutgoingRecord[] =>
  sizes.map((bytes, at) => ({ topic, partition: 0, key: null, value: `${at % 10}`.repeat(bytes) }));

test('records that are together larger than the broker takes at a time are written, in their order', async () => {
  const { log } = kafka;
  await log.ensureTopics(['plain', 'transacted'].map((topic) => ({ topic, partitions: 1 })));
  const sizes = [5_000_000, 5_000_000, 10, 5_000_000];
  const producer = await log.producer();
  await producer.send(records('plain', ...sizes));
  await producer.close();
  const transactional = await log.transactionalProducer('large');
  await transactional.begin();
  await transactional.send(records('transacted', ...sizes));
  await transactional.commit();
  await transactional.close();
  for (const topic of ['plain', 'transacted'])
    expect((await readTopic(log, topic)).map(({ value }) => [value?.[0], value?.length])).toEqual(
      sizes.map((bytes, at) => [`${at}`.charCodeAt(0), bytes]),
    );
});

test('a record that the broker does not take is named, and what is in its transaction is not written', async () => {
  const { log } = kafka;
  await log.ensureTopics([{ topic: 'small', partitions: 1 }]);
  const refused = { code: 'RECORD_TOO_LARGE', details: { topic: 'small', bytes: expect.any(Number) as number } };
  const producer = await log.producer();
  await expect(producer.send(records('small', LIMIT))).rejects.toMatchObject(refused);
  await producer.close();
  const transactional = await log.transactionalProducer('refused');
  await transactional.begin();
  await transactional.send(records('small', 10));
  await expect(transactional.send(records('small', LIMIT))).rejects.toMatchObject(refused);
  await transactional.close();
  // Its successor ends what it had open.
  await (await log.transactionalProducer('refused')).close();
  expect(await readTopic(log, 'small')).toEqual([]);
});
