import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import type { Configuration } from '../../../contracts/configuration.js';
import { predictionsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { LogProducer } from '../../../stores/log/log.js';
import { openRegistry } from '../../../stores/registry/openRegistry.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { paymentRecord, payments } from '../../support/payments.js';
import { hasPostgres, startTestPostgres } from '../../support/postgres.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';

function settings(broker: string, home: string, project = 'workertest'): Configuration {
  return fraudConfiguration(project, broker, home);
}

const isPostgresHere = await hasPostgres();

describe('a stream worker that cannot start', () => {
  test('says that no broker answers', async () => {
    const home = await mkdtemp(join(tmpdir(), 'tidemill-worker-'));
    const noWait = { TIDEMILL_START_WAIT: 'off' };
    const worker = new StreamWorker(settings('127.0.0.1:1', home), ['--model', 'fraud'], noWait);
    expect(await worker.end()).toMatchObject({ code: 5 });
    expect(worker.lines.some((line) => line['code'] === 'LOG_UNAVAILABLE')).toBe(true);
    await rm(home, { recursive: true, force: true });
  });

  test('names the setting of a registry that it cannot use, without its password', async () => {
    const registry = { kind: 'postgres', url: 'postgres://me:s3cret@127.0.0.1:1' } as const;
    const worker = new StreamWorker({ ...settings('127.0.0.1:1', tmpdir()), registry }, ['--model', 'fraud']);
    expect(await worker.end()).toMatchObject({ code: 2 });
    const said = worker.lines.find((line) => line['code'] === 'CONFIGURATION_INVALID');
    expect(said).toMatchObject({ details: { variable: 'TIDEMILL_REGISTRY' } });
    expect(JSON.stringify(worker.lines)).not.toContain('s3cret');
  });
});

describe('a stream worker', () => {
  let kafka: TestKafka;
  let producer: LogProducer;
  beforeAll(async () => {
    kafka = await startTestKafka();
    producer = await kafka.log.producer();
    await kafka.log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `workertest.${name}`, partitions: 2 })),
    );
  });
  afterAll(async () => {
    await producer.close();
    await kafka.stop();
  });

  const predictions = async (): Promise<number> => {
    const topic = predictionsTopic('workertest', 'fraud');
    if ((await kafka.log.partitionCount(topic)) === null) return 0;
    let count = 0;
    for (const { partition, high } of await kafka.log.offsets(topic)) {
      for await (const batch of kafka.log.read({ topic, partition, from: 0, to: high })) count += batch.length;
    }
    return count;
  };
  const send = (count: number, firstId: number): Promise<void> =>
    producer.send(
      payments(count, {
        seed: firstId,
        firstId,
        from: Date.parse('2018-05-01') + firstId * 60_000,
        everyMs: 60_000,
      }).map((each) => paymentRecord('workertest', each)),
    );

  test('without a start refuses to guess one', async () => {
    const worker = new StreamWorker(settings(kafka.broker, join(kafka.directory, 'a')), [
      '--model',
      'fraud',
      '--instance',
      'a',
    ]);
    expect(await worker.end()).toMatchObject({ code: 1 });
    expect(worker.lines.some((line) => line['code'] === 'GROUP_NOT_INITIALISED')).toBe(true);
  });

  test.skipIf(!isPostgresHere)('keeps its lease in the PostgreSQL registry that is configured', async () => {
    const postgres = await startTestPostgres();
    const home = join(kafka.directory, 'postgres');
    const url = await postgres.createDatabase();
    const configuration = {
      ...settings(kafka.broker, home, 'postgrestest'),
      registry: { kind: 'postgres', url } as const,
    };
    await kafka.log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `postgrestest.${name}`, partitions: 2 })),
    );
    const registry = await openRegistry(configuration);
    try {
      const args = ['--model', 'fraud', '--instance', 'p'];
      expect(await new StreamWorker(configuration, [...args, '--initialise', 'end']).end()).toMatchObject({ code: 0 });
      const worker = new StreamWorker(configuration, args);
      await worker.up();
      expect(await registry.liveInstances('fraud')).toMatchObject([{ instance: 'p', kind: 'stream', problem: null }]);
      // A registry that is away keeps nobody from stopping.
      await postgres.shutDown();
      expect(await worker.stop()).toMatchObject({ code: 0 });
      expect(existsSync(join(home, 'registry.db'))).toBe(false);
      for (const secret of postgres.secrets) expect(JSON.stringify(worker.lines)).not.toContain(secret);
    } finally {
      await registry.close();
      await postgres.stop();
    }
  });

  test('with a corrupt snapshot discards it, replays the log, and goes on', { timeout: 120_000 }, async () => {
    const configuration = settings(kafka.broker, join(kafka.directory, 'home'));
    expect(await new StreamWorker(configuration, ['--model', 'fraud', '--initialise', 'start']).end()).toMatchObject({
      code: 0,
    });
    await send(400, 0);
    const before = new StreamWorker(configuration, ['--model', 'fraud', '--instance', 'w']);
    while ((await predictions()) < 400) await sleep(200);
    expect(await before.stop()).toMatchObject({ code: 0 });

    const snapshots = join(configuration.home, 'streams', 'snapshots', 'workertest.score.fraud.g1');
    for (const task of await readdir(snapshots)) {
      const file = join(snapshots, task, 'data.mdb');
      const bytes = await readFile(file);
      // Flips bits all over the pages behind the two meta pages.
      for (let at = 8_192; at < bytes.length; at += 97) bytes[at] = (bytes[at] as number) ^ 0xff;
      await writeFile(file, bytes);
    }
    await send(200, 10_000);
    // Damaged pages may kill a process that reads them, or hold it in a loop: the worker does not read them.
    const after = new StreamWorker(configuration, ['--model', 'fraud', '--instance', 'w']);
    while ((await predictions()) < 600) {
      expect(after.isRunning).toBe(true);
      await sleep(200);
    }
    expect(await after.stop()).toMatchObject({ code: 0 });
    expect(after.lines.filter(({ msg }) => msg === 'snapshotDiscarded')).toHaveLength(4);
    expect(await readdir(snapshots)).toHaveLength(4);

    const audit = await verifyServed(kafka.log, 'workertest', fraud.compiled, new Map());
    expect(audit).toMatchObject({ records: 600, predictions: 600, missing: 0, repeated: 0, maxDifference: 0 });
  });
});
