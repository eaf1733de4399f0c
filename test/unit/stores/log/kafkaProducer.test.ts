import type { Kafka } from 'kafkajs';
import { expect, test } from 'vitest';
import { openProducer, openTransactionalProducer } from '../../../../stores/log/kafkaProducer.js';

/** As much of the client as opening a producer touches: it counts the producers that are connected. */
class FakeClient {
  connected = 0;

  constructor(private readonly refusal: { readonly connect?: Error; readonly transaction?: Error }) {}

  producer(): unknown {
    const { connect, transaction } = this.refusal;
    return {
      connect: () => {
        this.connected++;
        return connect === undefined ? Promise.resolve() : Promise.reject(connect);
      },
      transaction: () =>
        transaction === undefined ? Promise.resolve({ abort: () => Promise.resolve() }) : Promise.reject(transaction),
      disconnect: () => {
        this.connected--;
        return Promise.resolve();
      },
    };
  }
}

const failure = (name: string, type?: string): Error =>
  Object.assign(new Error('Closed connection'), { name, ...(type === undefined ? {} : { type }) });

test.each([
  ['LOG_UNAVAILABLE', { connect: failure('KafkaJSConnectionError') }],
  ['LOG_UNAVAILABLE', { transaction: failure('KafkaJSNumberOfRetriesExceeded') }],
  ['PRODUCER_FENCED', { transaction: failure('KafkaJSProtocolError', 'INVALID_PRODUCER_EPOCH') }],
  ['PRODUCER_UNUSABLE', { transaction: failure('KafkaJSProtocolError', 'CONCURRENT_TRANSACTIONS') }],
])('a transactional producer that cannot be opened (%s) keeps no connection', async (code, refusal) => {
  const client = new FakeClient(refusal);
  await expect(openTransactionalProducer(client as unknown as Kafka, 'id')).rejects.toMatchObject({ code });
  expect(client.connected).toBe(0);
});

test('nor does a plain one; one that was opened keeps its connection until it is closed', async () => {
  const refused = new FakeClient({ connect: failure('KafkaJSConnectionError') });
  await expect(openProducer(refused as unknown as Kafka)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  expect(refused.connected).toBe(0);
  const client = new FakeClient({});
  const producer = await openTransactionalProducer(client as unknown as Kafka, 'id');
  expect(client.connected).toBe(1);
  await producer.close();
  expect(client.connected).toBe(0);
});
