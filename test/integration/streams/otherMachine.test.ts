import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Configuration } from '../../../contracts/configuration.js';
import { registryIn } from '../../../contracts/registryAddress.js';
import { groupId } from '../../../contracts/topics.js';
import { sales, spendPerCustomer } from '../../../examples/sales/project.js';
import type { LogProducer } from '../../../stores/log/log.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { exampleModule, StreamWorker, workerConfiguration } from '../../support/streamWorker.js';
import type { WindowText } from '../../support/windowOracle.js';

const PARTITIONS = 2;
const KEYS = 100_000;
const project = 'machines';
const source = `${project}.${sales.compiled.name}`;
const identity = { project, name: 'window.spend-per-customer', generation: 1 };
const START = Date.parse('2026-01-01T00:00:00Z');

let kafka: TestKafka;
let producer: LogProducer;
let sent = 0;

beforeAll(async () => {
  kafka = await startTestKafka();
  producer = await kafka.log.producer();
  await kafka.log.ensureTopics([{ topic: source, partitions: PARTITIONS }]);
});
afterAll(async () => {
  await producer.close();
  await kafka.stop();
});

/** A folder of its own; objects and registry are elsewhere, and the same for all machines. */
async function machine(name: string): Promise<Configuration> {
  const home = join(kafka.directory, name);
  const shared = join(kafka.directory, 'shared');
  await mkdir(join(shared, 'objects'), { recursive: true });
  await mkdir(home, { recursive: true });
  await symlink(join(shared, 'objects'), join(home, 'objects'));
  return {
    ...workerConfiguration(project, exampleModule('sales'), kafka.broker, home),
    registry: registryIn(shared),
  };
}

/** Sales of many customers, one after the other in time. */
async function send(count: number, from: number): Promise<void> {
  for (let done = 0; done < count; done += 10_000) {
    await producer.send(
      Array.from({ length: Math.min(10_000, count - done) }, (_, at) => {
        const id = sent++;
        const customer = id % KEYS;
        const value = JSON.stringify({ id, at: from + Math.floor((done + at) / 10), customer, city: 'x', amount: 1 });
        return { topic: source, key: String(customer), value };
      }),
    );
  }
}

async function committed(): Promise<number> {
  const places = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: source, partition }));
  const found = await kafka.log.committed(groupId(identity), places);
  return found.reduce((sum, { offset }) => sum + (offset ?? 0), 0);
}

const linesOf = (worker: StreamWorker, kind: string): Record<string, unknown>[] =>
  worker.lines.filter(({ msg }) => msg === kind);

describe('a worker that is killed with its machine', () => {
  test(
    'is followed by one elsewhere, from the object store, and each event counts once',
    { timeout: 240_000 },
    async () => {
      const args = ['--topologies', identity.name, '--instance'];
      const env = { TIDEMILL_OBJECT_SNAPSHOTS: '1s' };
      const here = await machine('here');
      await send(KEYS + 20_000, START);
      const first = new StreamWorker(here, [...args, 'here'], env);
      while ((await committed()) < sent) await sleep(100);
      const stored = (): number => new Set(linesOf(first, 'snapshotStored').map(({ task }) => task)).size;
      while (stored() < PARTITIONS) {
        expect(first.isRunning).toBe(true);
        await sleep(100);
      }
      await send(30_000, START + 60_000);
      while ((await committed()) < sent - 20_000) await sleep(20);
      await first.kill();
      await rm(join(here.home, 'streams'), { recursive: true });

      await send(10_000, START + 90_000);
      // What comes after the windows closes them, in every partition.
      await send(1_000, START + 600_000);
      const answered = await committed();
      const second = new StreamWorker(await machine('there'), [...args, 'there'], env);
      while ((await committed()) < sent) {
        expect(second.isRunning).toBe(true);
        await sleep(100);
      }
      expect(await second.stop()).toMatchObject({ code: 0 });

      const snapshots = linesOf(second, 'snapshotFetched').map(({ uri }) => Number(/@(\d+)\//.exec(String(uri))?.[1]));
      expect(snapshots).toHaveLength(PARTITIONS);
      const held = snapshots.reduce((sum, offset) => sum + offset, 0);
      expect(held).toBeGreaterThan(0);
      const recoveries = linesOf(second, 'recovered');
      expect(recoveries.every(({ fromSnapshot }) => fromSnapshot === true)).toBe(true);
      // What came between the snapshots and the committed offsets is replayed, and nothing else.
      expect(recoveries.reduce((sum, each) => sum + Number(each['replayed']), 0)).toBe(answered - held);

      const topic = `${project}.${spendPerCustomer.compiled.to}`;
      const told = new Set<string>();
      let counted = 0;
      for (const { partition, low, high } of await kafka.log.offsets(topic)) {
        for await (const batch of kafka.log.read({ topic, partition, from: low, to: high })) {
          for (const { value } of batch) {
            const { key, start, sales: count } = JSON.parse(String(value)) as WindowText;
            const window = `${key} ${start}`;
            expect(told.has(window)).toBe(false);
            told.add(window);
            counted += count as number;
          }
        }
      }
      expect(told.size).toBeGreaterThan(KEYS);
      expect(counted).toBe(sent - 1_000);
    },
  );
});
