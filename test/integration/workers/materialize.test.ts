import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environmentOf, type Configuration } from '../../../contracts/configuration.js';
import type { OnlineFeatures } from '../../../contracts/onlineFeatures.js';
import { customerSpending, terminalRisk } from '../../../examples/fraud/project.js';
import type { CompiledView } from '../../../features/compiledView.js';
import type { LogProducer } from '../../../stores/log/log.js';
import { FeatureReader } from '../../../stores/online/featureReader.js';
import { openOnlineStore } from '../../../stores/online/openOnlineStore.js';
import type { OnlineStore } from '../../../stores/online/onlineStore.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { eventsInLog, interpreted } from '../../support/materialized.js';
import { labelRecord, paymentRecord, payments } from '../../support/payments.js';
import { hasRedis, startTestRedis, type TestRedis } from '../../support/redis.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';

const PARTITIONS = 2;
const project = 'online';
const ARGS = ['--model', 'fraud', '--topologies', 'materialize', '--instance', 'm'];
const views = [customerSpending.compiled, terminalRisk.compiled];

describe.skipIf(!(await hasRedis()))('a worker that materializes to Redis', () => {
  let kafka: TestKafka;
  let redis: TestRedis;
  let producer: LogProducer;
  let store: OnlineStore;
  let configuration: Configuration;
  beforeAll(async () => {
    [kafka, redis] = await Promise.all([startTestKafka(), startTestRedis()]);
    producer = await kafka.log.producer();
    await kafka.log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: PARTITIONS })),
    );
    const home = join(kafka.directory, 'home');
    configuration = { ...fraudConfiguration(project, kafka.broker, home), online: { kind: 'redis', url: redis.url } };
    store = openOnlineStore(configuration.online);
  });
  afterAll(async () => {
    await store.close();
    await producer.close();
    await redis.stop();
    await kafka.stop();
  });

  const identityOf = ({ name, hash }: CompiledView): { project: string; name: string; hash: string } => ({
    project,
    name,
    hash,
  });
  /** Waits until every view is marked up to the end of its stream in the generation that serves. */
  const caughtUp = async (generation = 1): Promise<void> => {
    for (const view of views) {
      const ends = await kafka.log.offsets(`${project}.${view.stream.name}`);
      for (;;) {
        const marks = await store.marks(identityOf(view), generation);
        const isThere = ends.every(({ partition, high }) => (marks.get(partition)?.offset ?? -1) >= high);
        if (isThere && (await store.serving(identityOf(view))) === generation) break;
        await sleep(100);
      }
    }
  };
  const expectParity = async (): Promise<void> => {
    for (const view of views) {
      const { byKey, newest } = await eventsInLog(kafka.log, project, view);
      expect(byKey.size).toBeGreaterThan(150);
      const found = await new FeatureReader({ project, view, store }).read([...byKey.keys()], newest);
      expect(
        found.map(({ key, ageMs, features }) => ({
          key,
          values: features.map(({ value }) => value),
          statuses: features.map(({ status }) => status),
          ageMs,
        })),
      ).toEqual([...byKey].map(([key, events]) => ({ key, ...interpreted(view, events, newest) })));
    }
  };
  const send = async (from: number, count: number): Promise<void> => {
    const all = payments(from + count, { seed: 1, everyMs: 60_000 }).slice(from);
    await producer.send(all.flatMap((each) => [paymentRecord(project, each), labelRecord(project, each)]));
  };
  const tidemill = async (...args: string[]): Promise<unknown> => {
    const env = { ...process.env, ...environmentOf(configuration) };
    const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
    const { stdout } = await promisify(execFile)(process.execPath, [cli, '--json', ...args], { env });
    return JSON.parse(stdout) as unknown;
  };

  test('has every key as the interpreter has it, though it was killed in mid-stream', async () => {
    // Each life ends at another step; what lies between the commit and the store is the one to be made up for.
    for (const [life, point] of ['after-commit:3', 'after-offsets:2', 'after-commit:1', 'after-commit:2'].entries()) {
      await send(life * 500, 500);
      const worker = new StreamWorker(configuration, ARGS, { TIDEMILL_FAIL_POINT: point });
      expect(await worker.end()).toMatchObject({ signal: 'SIGKILL' });
    }
    const worker = new StreamWorker(configuration, ARGS);
    for (let at = 2_000; at < 4_000; at += 500) await send(at, 500);
    await sleep(1_000);
    await worker.kill();
    await send(4_000, 500);
    const last = new StreamWorker(configuration, ARGS);
    await caughtUp();
    await expectParity();
    expect(await last.stop()).toMatchObject({ code: 0 });
  });

  test('features get tells values, statuses, age and freshness; features rebuild is taken up by the next worker', async () => {
    const view = customerSpending.compiled;
    const { byKey, newest } = await eventsInLog(kafka.log, project, view);
    const [[key, events]] = [...byKey] as [[number, never[]]];
    const get = async (at: number): Promise<OnlineFeatures> =>
      (await tidemill('features', 'get', view.name, String(key), '--at', new Date(at).toISOString())) as OnlineFeatures;
    for (const at of [newest, newest + 86_400_000]) {
      const found = await get(at);
      const { values, statuses, ageMs } = interpreted(view, events, at);
      expect(found).toMatchObject({ view: view.name, key, at, generation: 1, ageMs });
      expect(found.features.map(({ value }) => value)).toEqual(values);
      expect(found.features.map(({ status }) => status)).toEqual(statuses);
    }
    await expect(get(newest - 30 * 86_400_000)).rejects.toMatchObject({
      stderr: expect.stringContaining('ONLINE_POSITION_FORGOTTEN') as string,
    });
    expect(await tidemill('features', 'rebuild', view.name)).toEqual({ view: view.name, generation: 2 });
    await tidemill('features', 'rebuild', terminalRisk.compiled.name);
    const worker = new StreamWorker(configuration, ARGS);
    await caughtUp(2);
    await expectParity();
    expect(await get(newest)).toMatchObject({ generation: 2, freshness: 'fresh' });
    expect(await store.marks(identityOf(view), 1)).toEqual(new Map());
    expect(await worker.stop()).toMatchObject({ code: 0 });
  });
});
