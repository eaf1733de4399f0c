import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { environmentOf, type Configuration } from '../../../contracts/configuration.js';
import { startKafka } from '../../../infra/kafka.js';
import { freePort } from '../../../infra/ports.js';
import { startTemporal } from '../../../infra/temporal.js';
import { openKafkaLog } from '../../../stores/log/kafkaLog.js';
import { hasPostgres, startTestPostgres } from '../../support/postgres.js';
import { hasRedis, startTestRedis } from '../../support/redis.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';
import { startProgram } from '../../support/testProgram.js';

const project = 'starting';
const canHaveAll = (await hasRedis()) && (await hasPostgres());

describe('a worker that starts before its servers', () => {
  let home: string;
  /** Stops what the test started, the last first. */
  let stops: (() => Promise<unknown>)[];
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'tidemill-starting-'));
    stops = [];
  });
  afterEach(async () => {
    for (const stop of stops.reverse()) await stop();
    await rm(home, { recursive: true, force: true });
  });

  async function kafkaOn(port: number): Promise<void> {
    const kafka = await startKafka({ directory: join(home, 'kafka'), port, memoryMb: 384 });
    stops.push(() => kafka.stop());
  }

  const isWaitingFor =
    (server: string) =>
    (line: Record<string, unknown>): boolean =>
      line['msg'] === 'waiting for a server' && line['server'] === server;
  async function waitsFor(worker: StreamWorker, server: string): Promise<void> {
    while (!worker.lines.some(isWaitingFor(server))) {
      worker.requireRunning();
      await sleep(50);
    }
  }

  test.skipIf(!canHaveAll)('waits for Kafka, PostgreSQL and Redis, one after the other, and runs', async () => {
    const port = await freePort();
    const postgres = await startTestPostgres();
    stops.push(() => postgres.stop());
    const url = await postgres.createDatabase();
    await postgres.shutDown();
    const redis = await startTestRedis();
    stops.push(() => redis.stop());
    await redis.shutDown();
    const configuration: Configuration = {
      ...fraudConfiguration(project, `127.0.0.1:${port}`, home),
      registry: { kind: 'postgres', url },
      online: { kind: 'redis', url: redis.url },
    };
    const args = ['--model', 'fraud', '--topologies', 'materialize'];
    const worker = new StreamWorker(configuration, args, { TIDEMILL_START_WAIT: '5m' });
    stops.push(() => worker.kill());
    await waitsFor(worker, 'Kafka');
    await kafkaOn(port);
    const log = openKafkaLog({ brokers: [`127.0.0.1:${port}`], clientId: 'test' });
    await log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: 1 })),
    );
    await log.close();
    await waitsFor(worker, 'registry');
    await postgres.startAgain();
    await waitsFor(worker, 'online store');
    await redis.startAgain();
    await worker.up();
    expect(await worker.stop()).toMatchObject({ code: 0 });
  });

  test('ends at a signal while it waits', async () => {
    const configuration = fraudConfiguration(project, '127.0.0.1:1', home);
    const worker = new StreamWorker(configuration, ['--model', 'fraud'], { TIDEMILL_START_WAIT: '5m' });
    await waitsFor(worker, 'Kafka');
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
  });

  test('ends with the code of what it missed when it has waited long enough', async () => {
    const configuration = fraudConfiguration(project, '127.0.0.1:1', home);
    const worker = new StreamWorker(configuration, ['--model', 'fraud'], { TIDEMILL_START_WAIT: '1s' });
    expect(await worker.end()).toMatchObject({ code: 5 });
    expect(worker.lines).toContainEqual(expect.objectContaining({ code: 'LOG_UNAVAILABLE' }));
  });

  test('is a lifecycle worker that waits for Temporal, too', async () => {
    const [kafkaPort, temporalPort] = [await freePort(), await freePort()];
    await kafkaOn(kafkaPort);
    const configuration: Configuration = {
      ...fraudConfiguration(project, `127.0.0.1:${kafkaPort}`, home),
      temporalAddress: `127.0.0.1:${temporalPort}`,
    };
    const worker = startProgram('workers/lifecycle.js', [], {
      ...environmentOf(configuration),
      TIDEMILL_START_WAIT: '5m',
    });
    stops.push(() => worker.kill());
    const says = async (text: string): Promise<void> => {
      while (!worker.lastLines().includes(text)) {
        if (worker.hasFailed()) throw new Error(worker.lastLines());
        await sleep(50);
      }
    };
    await says('"server":"Temporal"');
    const temporal = await startTemporal({ directory: join(home, 'temporal'), port: temporalPort });
    stops.push(() => temporal.stop());
    await says('"msg":"running"');
    await worker.stop();
  });
});
