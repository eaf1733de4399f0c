import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { environmentOf, type Configuration } from '../../../contracts/configuration.js';
import type { ReplayReport } from '../../../contracts/replayReport.js';
import { groupId, hopTopic, predictionsTopic, streamTopic } from '../../../contracts/topics.js';
import { sales, spendPerCustomer } from '../../../examples/sales/project.js';
import type { LogProducer } from '../../../stores/log/log.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import { hasCaughtUp } from '../../support/caughtUp.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { paymentRecord, payments, randomNumbers } from '../../support/payments.js';
import { exampleModule, fraudConfiguration, StreamWorker, workerConfiguration } from '../../support/streamWorker.js';
import { expectedWindows, lineOf, valuesOf, type WindowText } from '../../support/windowOracle.js';

const run = promisify(execFile);
const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
const PARTITIONS = 2;

describe('tidemill replay', () => {
  let kafka: TestKafka;
  let producer: LogProducer;
  beforeAll(async () => {
    kafka = await startTestKafka();
    producer = await kafka.log.producer();
  });
  afterAll(async () => {
    await producer.close();
    await kafka.stop();
  });

  const tidemill = async (configuration: Configuration, ...args: string[]): Promise<ReplayReport> => {
    const env = { ...process.env, ...environmentOf(configuration) };
    const { stdout } = await run(process.execPath, [cli, '--home', configuration.home, ...args, '--json'], { env });
    return JSON.parse(stdout) as ReplayReport;
  };
  const caughtUp = async (group: string, topics: readonly string[]): Promise<void> => {
    while (!(await hasCaughtUp(kafka.log, group, topics))) await sleep(200);
  };

  test(
    'windows: the same code tells the same, and the switch loses nothing and repeats nothing',
    { timeout: 240_000 },
    async () => {
      const project = 'shopreplay';
      const configuration = workerConfiguration(
        project,
        exampleModule('sales'),
        kafka.broker,
        join(kafka.directory, 'shop'),
      );
      const source = streamTopic(project, sales.compiled.name);
      await kafka.log.ensureTopics([{ topic: source, partitions: PARTITIONS }]);
      const random = randomNumbers(8);
      let id = 0;
      const send = (count: number): Promise<void> =>
        producer.send(
          Array.from({ length: count }, () => {
            const customer = Math.floor(random() * 40);
            const behind = random() < 0.1 ? Math.floor(random() * 60_000) : 0;
            const at = Date.parse('2026-01-01T00:00:00Z') + id * 500 - behind;
            const sale = { id: id++, at, customer, city: 'Ulm', amount: Math.floor(random() * 20_000) / 100 };
            return { topic: source, key: String(customer), value: JSON.stringify(sale) };
          }),
        );
      const name = 'window.spend-per-customer';
      const groupOf = (generation: number): string => groupId({ project, name, generation });
      const worker = (): StreamWorker => new StreamWorker(configuration, ['--topologies', name, '--instance', 'a']);

      await send(3_000);
      const first = worker();
      await caughtUp(groupOf(1), [source]);
      const replayed = await tidemill(configuration, 'replay', name);
      expect(replayed).toMatchObject({ state: 'replayed', generation: { running: 1, replayed: 2 } });
      expect(replayed.comparisons).toEqual([
        expect.objectContaining({ different: 0, onlyReplayed: 0, onlyRunning: 0, samples: [] }),
      ]);
      expect(replayed.comparisons[0]?.equal).toBeGreaterThan(500);

      await expect(tidemill(configuration, 'replay', name, '--switch')).rejects.toMatchObject({
        stderr: expect.stringContaining('TOPOLOGY_ACTIVE') as string,
      });
      await send(1_000);
      await first.stop();
      await send(1_000);
      const switched = await tidemill(configuration, 'replay', name, '--switch');
      expect(switched).toMatchObject({ state: 'switched', comparisons: [{ different: 0, onlyRunning: 0 }] });
      const second = worker();
      await send(1_000);
      await caughtUp(groupOf(2), [source]);
      expect(await second.stop()).toMatchObject({ code: 0 });

      const expected = expectedWindows(spendPerCustomer.compiled, await readTopic(kafka.log, source));
      const isClosed = ({ key, end }: { readonly key: unknown; readonly end: number }): boolean =>
        end <= (expected.watermarks.get(partitionOf(String(key), PARTITIONS)) as number);
      const told = (await readTopic(kafka.log, `${project}.${spendPerCustomer.compiled.to}`)).map((each) =>
        jsonOf<WindowText>(each),
      );
      expect(told.map((each) => lineOf(each, valuesOf(each))).sort()).toEqual(
        expected.windows
          .filter(isClosed)
          .map((each) => lineOf(each, each.values))
          .sort(),
      );
    },
  );

  test(
    'score: every request is answered again beside the answers that were given, and dropped without a trace',
    { timeout: 240_000 },
    async () => {
      const project = 'fraudreplay';
      const configuration = fraudConfiguration(project, kafka.broker, join(kafka.directory, 'fraud'));
      await kafka.log.ensureTopics(
        ['transactions', 'fraud-labels'].map((stream) => ({
          topic: streamTopic(project, stream),
          partitions: PARTITIONS,
        })),
      );
      const from = Date.parse('2018-05-01T00:00:00Z');
      const made = payments(800, { seed: 3, firstId: 1, from, everyMs: 60_000 });
      await producer.send(made.map((each) => paymentRecord(project, each)));
      const score = { project, name: 'score.fraud', generation: 1 };
      const args = ['--topologies', 'score', '--model', 'fraud', '--instance', 'a'];
      await new StreamWorker(configuration, [...args, '--initialise', 'start']).end();
      const worker = new StreamWorker(configuration, args);
      await caughtUp(groupId(score), [streamTopic(project, 'transactions'), hopTopic(score, 'terminal')]);
      const answered = (await readTopic(kafka.log, predictionsTopic(project, 'fraud'))).length;
      const replayed = await tidemill(configuration, 'replay', 'score', '--model', 'fraud');
      expect(replayed).toMatchObject({ state: 'replayed', generation: { running: 1, replayed: 2 } });
      const predictions = replayed.comparisons.find(({ topic }) => topic === predictionsTopic(project, 'fraud'));
      expect(predictions).toMatchObject({ equal: answered, different: 0, onlyReplayed: 0, onlyRunning: 0 });
      expect(answered).toBeGreaterThan(700);

      const dropped = await tidemill(configuration, 'replay', 'score', '--model', 'fraud', '--drop');
      expect(dropped.state).toBe('dropped');
      expect(await kafka.log.partitionCount(predictions?.replayed ?? '')).toBeNull();
      expect(await readTopic(kafka.log, predictionsTopic(project, 'fraud'))).toHaveLength(answered);
      expect(await worker.stop()).toMatchObject({ code: 0 });
    },
  );
});
