import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import type { Configuration } from '../../../contracts/configuration.js';
import type { DeadLetterChange, DeadLetterContent, DeadLetterList } from '../../../contracts/deadLetters.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import type { TopologyProgress } from '../../../contracts/topologyProgress.js';
import { fraud } from '../../../examples/fraud/project.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';

const run = promisify(execFile);
const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
const requests = 'letters.transactions';

describe('tidemill dlq', () => {
  let kafka: TestKafka;
  let configuration: Configuration;
  let worker: StreamWorker;
  /** When the request of the future has become one of the present. */
  let ripeAt: number;
  beforeAll(async () => {
    kafka = await startTestKafka();
    const home = join(kafka.directory, 'home');
    configuration = fraudConfiguration('letters', kafka.broker, home);
    await kafka.log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `letters.${name}`, partitions: 2 })),
    );
    expect(await new StreamWorker(configuration, ['--model', 'fraud', '--initialise', 'start']).end()).toMatchObject({
      code: 0,
    });
    worker = new StreamWorker(configuration, ['--model', 'fraud', '--instance', 'w']);
    const producer = await kafka.log.producer();
    ripeAt = Date.now() + 12_000;
    const ahead = { id: 1, at: ripeAt + fraud.compiled.request.maxFutureMs, customer: 7, terminal: 9, amount: 1.5 };
    const record = { topic: requests, partition: 1, key: '7' };
    await producer.send([
      { ...record, value: JSON.stringify(ahead), headers: { trace: 'abc' } },
      { ...record, value: Buffer.from([0xff, 0xfe]) },
      { ...record, value: '{}' },
    ]);
    await producer.close();
  });
  afterAll(async () => {
    await worker.kill();
    await kafka.stop();
  });

  const tidemill = async (...args: string[]): Promise<string> => {
    const env = { ...process.env, TIDEMILL_KAFKA: kafka.broker, TIDEMILL_PROJECT_ID: 'letters' };
    return (await run(process.execPath, [cli, '--home', configuration.home, ...args], { env })).stdout;
  };
  const list = async (...args: string[]): Promise<DeadLetterList> =>
    JSON.parse(await tidemill('dlq', 'list', '--json', ...args)) as DeadLetterList;
  const predictions = async (): Promise<PredictionRecord[]> =>
    (await readTopic(kafka.log, 'letters.fraud.predictions')).map((record) => jsonOf<PredictionRecord>(record));

  test('lists what is open, and shows one with its bytes, headers and error', async () => {
    let found = await list();
    while (found.letters.length < 3) {
      expect(worker.isRunning).toBe(true);
      await sleep(200);
      found = await list();
    }
    expect(found.counts.map(({ code, count }) => [code, count])).toEqual([
      ['EVENT_TIME_IN_FUTURE', 1],
      ['EVENT_MALFORMED', 1],
      ['EVENT_FIELD_INVALID', 1],
    ]);
    const [broken] = (await list('--code', 'EVENT_MALFORMED', '--topic', requests, '--since', '1h')).letters;
    const shown = JSON.parse(await tidemill('dlq', 'show', String(broken?.id), '--json')) as DeadLetterContent;
    expect(shown).toMatchObject({ value: null, valueHex: 'fffe', code: 'EVENT_MALFORMED', partition: 1, offset: 1 });
    const text = await tidemill('dlq', 'show', String(found.letters.find(({ offset }) => offset === 0)?.id));
    expect(text).toMatch(/error {8}EVENT_TIME_IN_FUTURE: .*\n[^]*header {7}trace: abc\n[^]*value {8}\{"id":1,/);
    expect(await tidemill('dlq', 'list', '--limit', '1')).toMatch(/the oldest 1 of 3:/);
    expect((await list('--since', '2100-01-01')).letters).toEqual([]);
  });

  test('asks before it decides, and takes nothing for everything', async () => {
    for (const args of [['replay'], ['discard'], ['replay', '--all'], ['replay', '0-0', '--all', '--yes']]) {
      const failed: unknown = await tidemill('dlq', ...args).catch((reason: unknown) => reason);
      expect(failed).toMatchObject({ code: 2, stdout: '' });
    }
    expect((await list()).letters).toHaveLength(3);
  });

  test('discards what is of no use, once', async () => {
    const args = ['dlq', 'discard', '--code', 'EVENT_FIELD_INVALID', '--reason', 'a test', '--yes', '--json'];
    const done = JSON.parse(await tidemill(...args)) as DeadLetterChange;
    expect(done).toMatchObject({ decision: 'discarded', applied: true, letters: [{ code: 'EVENT_FIELD_INVALID' }] });
    expect((JSON.parse(await tidemill(...args)) as DeadLetterChange).letters).toEqual([]);
    expect((await list()).letters).toHaveLength(2);
    expect(await tidemill('dlq', 'show', String(done.letters[0]?.id))).toMatch(/decision {5}discarded by .* a test/);
  });

  test('replays into the topic where it failed: answered once, flagged; what fails again is open again', async () => {
    while (Date.now() < ripeAt) await sleep(200);
    const ids = (await list()).letters.map(({ id }) => id);
    const done = JSON.parse(await tidemill('dlq', 'replay', '--all', '--yes', '--json')) as DeadLetterChange;
    expect(done).toMatchObject({ decision: 'replayed', applied: true, skipped: [] });
    expect(done.letters.map(({ id }) => id)).toEqual(ids);
    const again = JSON.parse(await tidemill('dlq', 'replay', ...ids, '--yes', '--json')) as DeadLetterChange;
    expect(again).toMatchObject({ letters: [], skipped: ids.map((id) => ({ id })) });
    while ((await predictions()).length < 1) await sleep(100);
    let { letters } = await list();
    while (letters.length < 1) {
      await sleep(200);
      ({ letters } = await list());
    }
    expect(letters).toMatchObject([{ code: 'EVENT_MALFORMED', attempt: 2, origin: { topic: requests, offset: 1 } }]);
    expect(await predictions()).toMatchObject([
      { id: 1, replay: { topic: requests, partition: 1, offset: 0, late: false } },
    ]);
    const audit = await verifyServed(kafka.log, 'letters', fraud.compiled, new Map());
    expect(audit).toMatchObject({
      records: 5,
      predictions: 1,
      deadLetters: 4,
      missing: 0,
      repeated: 0,
      maxDifference: 0,
    });
  });

  test('stream status tells who runs a task, what it is doing and how late it is', async () => {
    const status = async (): Promise<TopologyProgress[]> => {
      const args = ['--model', 'fraud', '--project', configuration.projectModule, '--json'];
      return JSON.parse(await tidemill('stream', 'status', 'score', ...args)) as TopologyProgress[];
    };
    const rows = await status();
    expect(rows).toHaveLength(6);
    for (const row of rows) expect(row).toMatchObject({ owner: 'w', state: 'live', restored: 1, lag: 0 });
    const [entry] = rows.filter(({ topic, partition }) => topic === requests && partition === 1);
    expect(entry).toMatchObject({ task: 'customer-1', watermark: expect.any(Number) as number });
    expect(entry?.watermarkDelayMs).toBeTypeOf('number');
    expect(await worker.stop()).toMatchObject({ code: 0 });
    for (const row of await status()) expect(row).toMatchObject({ owner: null, state: 'unassigned', restored: null });
  });
});
