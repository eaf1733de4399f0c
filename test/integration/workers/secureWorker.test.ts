import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Configuration } from '../../../contracts/configuration.js';
import { openKafkaLog } from '../../../stores/log/kafkaLog.js';
import type { Log } from '../../../stores/log/log.js';
import { startSecureKafka, type SecureKafka } from '../../support/secureKafka.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';

describe('a stream worker towards a broker that wants TLS and a password', () => {
  let kafka: SecureKafka;
  let log: Log;
  let configuration: Configuration;
  beforeAll(async () => {
    kafka = await startSecureKafka();
    const home = join(kafka.directory, 'home');
    configuration = fraudConfiguration('secure', kafka.broker, home);
    log = openKafkaLog({ brokers: [kafka.openBroker], clientId: 'test' });
    await log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `secure.${name}`, partitions: 1 })),
    );
    // A new broker makes its topic of group offsets when it is first asked for a group, and refuses until that is done.
    const first = [{ topic: 'secure.transactions', partition: 0 }];
    await vi.waitFor(() => log.committed('first', first), { timeout: 60_000 });
  });
  afterAll(async () => {
    await log.close();
    await kafka.stop();
  });
  const login = (): Record<string, string> => ({
    TIDEMILL_KAFKA_CA_FILE: kafka.caFile,
    TIDEMILL_KAFKA_SASL: 'scram-sha-256',
    TIDEMILL_KAFKA_USERNAME: kafka.user,
    TIDEMILL_KAFKA_PASSWORD_FILE: kafka.passwordFile,
  });

  test('commits with what the environment says, under the client id that it names', async () => {
    const env = { ...login(), TIDEMILL_KAFKA_CLIENT_ID: 'tidemill-workers' };
    const initialising = new StreamWorker(configuration, ['--model', 'fraud', '--initialise', 'start'], env);
    expect(await initialising.end()).toMatchObject({ code: 0 });
    const worker = new StreamWorker(configuration, ['--model', 'fraud', '--instance', 'w'], env);
    try {
      const producer = await log.producer();
      const payment = { id: 1, at: Date.parse('2026-01-01'), customer: 7, terminal: 9, amount: 1.5 };
      await producer.send([{ topic: 'secure.transactions', key: '7', value: JSON.stringify(payment) }]);
      await producer.close();
      const committed = async (): Promise<number | null | undefined> =>
        (await log.committed('secure.score.fraud.g1', [{ topic: 'secure.transactions', partition: 0 }]))[0]?.offset;
      while ((await committed()) !== 1) {
        expect(worker.isRunning).toBe(true);
        await sleep(100);
      }
      // Its name in the group is still that of the instance.
      expect(await log.groupMembers('secure.score.fraud.g1')).toMatchObject([{ name: 'w' }]);
      expect(await worker.stop()).toMatchObject({ code: 0 });
    } finally {
      await worker.kill();
    }
    expect(JSON.stringify(worker.lines)).not.toContain(kafka.password);
  });

  test('with a wrong password says so, without it', async () => {
    const { TIDEMILL_KAFKA_PASSWORD_FILE: _, ...rest } = login();
    const env = { ...rest, TIDEMILL_KAFKA_PASSWORD: 'wrong-s3cret' };
    const worker = new StreamWorker(configuration, ['--model', 'fraud'], env);
    expect(await worker.end()).toMatchObject({ code: 4 });
    expect(worker.lines.some(({ code }) => code === 'LOG_AUTHENTICATION_FAILED')).toBe(true);
    expect(JSON.stringify(worker.lines)).not.toContain('wrong-s3cret');
  });

  test('names the variable of a file that cannot be read', async () => {
    const env = { ...login(), TIDEMILL_KAFKA_CA_FILE: join(kafka.directory, 'nowhere.pem') };
    const worker = new StreamWorker(configuration, ['--model', 'fraud'], env);
    expect(await worker.end()).toMatchObject({ code: 2 });
    expect(worker.lines.find(({ code }) => code === 'CONFIGURATION_INVALID')).toMatchObject({
      details: { variable: 'TIDEMILL_KAFKA_CA_FILE' },
    });
  });
});
