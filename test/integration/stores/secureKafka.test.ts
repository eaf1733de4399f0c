import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { TidemillError } from '../../../contracts/errors.js';
import { kafkaAccessFrom } from '../../../contracts/kafkaAccess.js';
import { openKafkaLog } from '../../../stores/log/kafkaLog.js';
import { readKafkaSecurity } from '../../../stores/log/kafkaSecurity.js';
import type { Log } from '../../../stores/log/log.js';
import { clientKeyFile, startSecureKafka, type SecureKafka } from '../../support/secureKafka.js';

let kafka: SecureKafka;
beforeAll(async () => {
  kafka = await startSecureKafka();
  // A new broker makes its topic of group offsets when it is first asked for a group, and refuses until that is done.
  const log = await open({}, kafka.openBroker);
  const topic = 'first';
  await log.ensureTopics([{ topic, partitions: 1 }]);
  await vi.waitFor(() => log.committed('first', [{ topic, partition: 0 }]), { timeout: 60_000 });
  await log.close();
});
afterAll(() => kafka.stop());

async function open(env: Record<string, string>, broker = kafka.broker): Promise<Log> {
  const access = kafkaAccessFrom(env);
  return openKafkaLog({ brokers: [broker], clientId: 'test', security: await readKafkaSecurity(access) });
}

function login(more: Record<string, string> = {}): Record<string, string> {
  return {
    TIDEMILL_KAFKA_CA_FILE: kafka.caFile,
    TIDEMILL_KAFKA_SASL: 'scram-sha-512',
    TIDEMILL_KAFKA_USERNAME: kafka.user,
    TIDEMILL_KAFKA_PASSWORD_FILE: kafka.passwordFile,
    ...more,
  };
}

/** Creates a topic, commits a transaction with an offset, aborts another, and reads what is committed, in a group and alone. */
async function proveUse(log: Log, topic: string): Promise<void> {
  await log.ensureTopics([{ topic, partitions: 1 }]);
  const producer = await log.transactionalProducer(`${topic}.id`);
  const send = async (value: string): Promise<void> => {
    await producer.begin();
    await producer.send([{ topic, partition: 0, key: null, value }]);
    await producer.sendOffsets(`${topic}.g`, [{ topic, partition: 0, offset: 7 }]);
  };
  await send('committed');
  await producer.commit();
  await send('aborted');
  await producer.abort();
  await producer.close();
  expect(await log.committed(`${topic}.g`, [{ topic, partition: 0 }])).toMatchObject([{ offset: 7 }]);
  const [range] = await log.offsets(topic);
  const values: string[] = [];
  for await (const batch of log.read({ topic, partition: 0, from: 0, to: range?.high ?? 0 }))
    values.push(...batch.map(({ value }) => String(value)));
  expect(values).toEqual(['committed']);

  const delivered = await new Promise<string>((resolve, reject) => {
    const joining = log.join({
      group: `${topic}.readers`,
      topics: [topic],
      memberName: 'reader',
      taskOf: ({ partition }) => String(partition),
      onAssigned: ({ partitions }) => {
        void joining.then((member) => partitions.forEach((each) => member.seekAndResume(each, 0)), reject);
      },
      onRecords: (records) => {
        void joining.then(async (member) => {
          await member.leave();
          resolve(String(records[0]?.value));
        });
      },
      onPosition: () => undefined,
      onError: reject,
    });
    joining.catch(reject);
  });
  expect(delivered).toBe('committed');
}

describe('a broker that wants TLS and a password', () => {
  test.each(['scram-sha-256', 'scram-sha-512', 'plain'])('%s: produce, consume and transactions', async (mechanism) => {
    const log = await open(login({ TIDEMILL_KAFKA_SASL: mechanism }));
    await proveUse(log, `by-${mechanism}`);
    await log.close();
  });

  test('a password from the environment does as well as one from a file', async () => {
    const { TIDEMILL_KAFKA_PASSWORD_FILE: _, ...rest } = login();
    const log = await open({ ...rest, TIDEMILL_KAFKA_PASSWORD: kafka.password });
    expect(await log.partitionCount('no-such-topic')).toBeNull();
    await log.close();
  });

  test.each(['scram-sha-256', 'scram-sha-512', 'plain'])(
    '%s: a wrong password is told as such, without it',
    async (mechanism) => {
      const { TIDEMILL_KAFKA_PASSWORD_FILE: _, ...rest } = login({ TIDEMILL_KAFKA_SASL: mechanism });
      const log = await open({ ...rest, TIDEMILL_KAFKA_PASSWORD: 'wrong-s3cret' });
      const failures = [
        await log.partitionCount('t').catch((error: unknown) => error),
        await log.transactionalProducer('id').catch((error: unknown) => error),
        await log.producer().catch((error: unknown) => error),
      ];
      for (const failure of failures) {
        expect(failure).toMatchObject({ code: 'LOG_AUTHENTICATION_FAILED' });
        expect((failure as TidemillError).action).toContain('TIDEMILL_KAFKA_PASSWORD_FILE');
        expect(JSON.stringify(failure)).not.toContain('wrong-s3cret');
      }
      await log.close();
    },
  );

  test('an authority that did not sign the certificate is a coded error', async () => {
    const log = await open(login({ TIDEMILL_KAFKA_CA_FILE: kafka.foreignCaFile }));
    const failure: unknown = await log.partitionCount('t').catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'LOG_TLS_FAILED' });
    expect((failure as TidemillError).action).toContain('TIDEMILL_KAFKA_CA_FILE');
    await log.close();
  });

  test('TLS towards a listener that speaks none ends as if nobody answered', async () => {
    const log = await open({ TIDEMILL_KAFKA_TLS: 'true' }, kafka.openBroker);
    await expect(log.partitionCount('t')).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    await log.close();
  });

  test('what the access rules forbid is told with what is missing', async () => {
    const owner = await open(login());
    await owner.ensureTopics([{ topic: 'closed', partitions: 1 }]);
    await owner.close();
    const log = await open(login({ TIDEMILL_KAFKA_USERNAME: kafka.guest }));
    await expect(log.ensureTopics([{ topic: 'mine', partitions: 1 }])).rejects.toMatchObject({
      code: 'LOG_NOT_ALLOWED',
    });
    await expect(log.transactionalProducer('id')).rejects.toMatchObject({ code: 'LOG_NOT_ALLOWED' });
    await log.close();
  });

  test('a client certificate stands for a user', async (context) => {
    const files = await clientKeyFile(kafka);
    if (files === null) return context.skip('needs openssl');
    const log = await open(
      {
        TIDEMILL_KAFKA_CA_FILE: kafka.caFile,
        TIDEMILL_KAFKA_CERT_FILE: files.cert,
        TIDEMILL_KAFKA_KEY_FILE: files.key,
      },
      kafka.mutualBroker,
    );
    await proveUse(log, 'by-certificate');
    await log.close();
  });
});
