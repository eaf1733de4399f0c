import type { Admin, Kafka } from 'kafkajs';
import { expect, test } from 'vitest';
import { KafkaAdmin } from '../../../../stores/log/kafkaAdmin.js';

/** As much of the client as connections for questions touch: it counts those that are open. */
class FakeClient {
  made = 0;
  open = 0;
  refusals: Error[] = [];

  admin(): unknown {
    this.made++;
    return {
      connect: () => {
        this.open++;
        const refusal = this.refusals.shift();
        return refusal === undefined ? Promise.resolve() : Promise.reject(refusal);
      },
      listTopics: () => Promise.resolve(['t']),
      disconnect: () => {
        this.open--;
        return Promise.resolve();
      },
    };
  }
}

const create = (): { client: FakeClient; admin: KafkaAdmin } => {
  const client = new FakeClient();
  return { client, admin: new KafkaAdmin(client as unknown as Pick<Kafka, 'admin'>) };
};
const topics = (admin: Admin): Promise<string[]> => admin.listTopics();
const away = (): Error => Object.assign(new Error('Closed connection'), { name: 'KafkaJSConnectionError' });

test('one connection answers everything, and is closed at the end', async () => {
  const { client, admin } = create();
  expect(await Promise.all([admin.ask('a', topics), admin.ask('b', topics)])).toEqual([['t'], ['t']]);
  expect(client).toMatchObject({ made: 1, open: 1 });
  await admin.close();
  expect(client.open).toBe(0);
});

test('a connection that failed is closed and the next question has a new one', async () => {
  const { client, admin } = create();
  for (let failures = 1; failures <= 3; failures++) {
    await expect(admin.ask('a', () => Promise.reject(away()))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    expect(client).toMatchObject({ made: failures, open: 0 });
  }
  expect(await admin.ask('a', topics)).toEqual(['t']);
  expect(client).toMatchObject({ made: 4, open: 1 });
});

test('a connection that cannot be made is made anew, whatever the reason was', async () => {
  const { client, admin } = create();
  client.refusals = [new Error('nobody knows'), away()];
  await expect(admin.ask('a', topics)).rejects.toThrow('nobody knows');
  await expect(admin.ask('a', topics)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  expect(await admin.ask('a', topics)).toEqual(['t']);
  expect(client).toMatchObject({ made: 3, open: 1 });
});

test('whoever still asks by a connection that failed for another is answered before it is closed', async () => {
  const { client, admin } = create();
  let answer: (said: string) => void = () => undefined;
  const said = admin.ask('slow', () => new Promise<string>((resolve) => (answer = resolve)));
  await expect(admin.ask('a', () => Promise.reject(away()))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  expect(client.open).toBe(1);
  answer('here');
  expect(await said).toBe('here');
  expect(client.open).toBe(0);
});
