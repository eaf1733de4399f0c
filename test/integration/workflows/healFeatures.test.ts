import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readTopic } from '../../../activities/audit/readTopic.js';
import { LifecycleClient } from '../../../client/lifecycleClient.js';
import { environmentOf, type Configuration } from '../../../contracts/configuration.js';
import type { HealResult } from '../../../contracts/healing.js';
import { correctionsTopic } from '../../../contracts/topics.js';
import { customerSpending } from '../../../examples/fraud/project.js';
import type { Value } from '../../../features/types.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import { FeatureReader } from '../../../stores/online/featureReader.js';
import { openOnlineStore } from '../../../stores/online/openOnlineStore.js';
import type { OnlineStore } from '../../../stores/online/onlineStore.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { eventsInLog, interpreted } from '../../support/materialized.js';
import { paymentRecord, payments } from '../../support/payments.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';
import { startProgram, type TestProgram } from '../../support/testProgram.js';

const project = 'healed';
const PARTITIONS = 2;
const view = customerSpending.compiled;
const identity = { project, name: view.name, hash: view.hash };

let kafka: TestKafka;
let temporal: StartedTemporal;
let lifecycle: LifecycleClient;
let store: OnlineStore;
let configuration: Configuration;
let stream: StreamWorker;
let worker: TestProgram | null = null;

beforeAll(async () => {
  kafka = await startTestKafka();
  temporal = await startTemporal({ directory: join(kafka.directory, 'temporal') });
  const home = join(kafka.directory, 'home');
  configuration = { ...fraudConfiguration(project, kafka.broker, home), temporalAddress: temporal.address };
  await kafka.log.ensureTopics(
    ['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: PARTITIONS })),
  );
  const producer = await kafka.log.producer();
  const all = payments(1_200, { seed: 3, everyMs: 1_800_000 });
  const late = all.slice(-500, -400).map((each) => ({ ...each, id: each.id + 90_000 }));
  await producer.send([...all, ...late].map((each) => paymentRecord(project, each)));
  await producer.close();
  store = openOnlineStore(configuration.online);
  lifecycle = await LifecycleClient.connect({ address: temporal.address, namespace: 'default', project });
  stream = new StreamWorker(configuration, ['--model', 'fraud', '--topologies', 'materialize', '--instance', 'm']);
  while ((await store.serving(identity)) === null) await sleep(200);
});
afterAll(async () => {
  await worker?.kill();
  await stream.stop();
  await lifecycle.close();
  await store.close();
  await temporal.stop();
  await kafka.stop();
});

/** Keys whose values in the store are not those of all events, late ones among them. */
async function differing(): Promise<Value[]> {
  const { byKey, late, newest } = await eventsInLog(kafka.log, project, view);
  for (const event of late) byKey.get(event.values[view.key] as Value)?.push(event);
  const found = await new FeatureReader({ project, view, store }).read([...byKey.keys()], newest);
  return [...byKey.keys()].filter((key, at) => {
    const values = found[at]?.features.map(({ value }) => value);
    return JSON.stringify(values) !== JSON.stringify(interpreted(view, byKey.get(key) ?? [], newest).values);
  });
}

async function heal(...args: string[]): Promise<HealResult> {
  const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
  const env = { ...process.env, ...environmentOf(configuration) };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [cli, '-o', 'jsonl', 'features', 'heal', view.name, ...args],
    { env },
  );
  const changes = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; result: HealResult });
  expect(changes.at(-1)?.kind).toBe('result');
  return (changes.at(-1) as { result: HealResult }).result;
}

test('a healing goes on where its worker was killed after it had written; done again it inserts nothing', async () => {
  const before = await differing();
  expect(before.length).toBeGreaterThan(20);
  const program = (env: Readonly<Record<string, string>> = {}): TestProgram =>
    startProgram('workers/lifecycle.js', [], { ...environmentOf(configuration), ...env });
  worker = program({ TIDEMILL_FAIL_POINT: 'heal/after-write:1' });

  const planned = await heal('--plan');
  expect(planned).toMatchObject({ outcome: 'planned', events: 100, inTime: 0, lost: 0 });
  expect(await readTopic(kafka.log, correctionsTopic(project, view.name))).toEqual([]);

  const healing = heal('--yes');
  while (!worker.hasFailed()) await sleep(100);
  worker = program();
  expect(await healing).toMatchObject({ outcome: 'healed', events: 100, inTime: 0, keys: planned.keys, lost: 0 });
  expect(await differing()).toEqual([]);

  expect(await heal('--yes')).toMatchObject({ outcome: 'healed', events: 0, keys: 0, change: null });
  expect(await readTopic(kafka.log, correctionsTopic(project, view.name))).toHaveLength(100);
});

test('what is no input, or no view, is refused with its code', async () => {
  const client = lifecycle;
  const refused = async (input: object): Promise<unknown> =>
    client.healResult(await client.startHeal(input as { view: string })).catch((error: unknown) => error);
  expect(await refused({ view: view.name, to: 'tomorrow' })).toMatchObject({ code: 'INPUT_INVALID' });
  expect(await refused({ view: 'nothing' })).toMatchObject({ code: 'DEFINITION_INVALID' });
});
