import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { environmentOf, type Configuration } from '../../contracts/configuration.js';
import { onlineStoreIn } from '../../contracts/onlineAddress.js';
import { registryIn } from '../../contracts/registryAddress.js';
import { groupId } from '../../contracts/topics.js';
import { startKafka } from '../../infra/kafka.js';
import { WORKER_FLAGS } from '../../infra/workerFlags.js';
import { openKafkaLog } from '../../stores/log/kafkaLog.js';
import type { Log } from '../../stores/log/log.js';
import { perUser } from './recoveryProject.js';

/**
 * Time from a worker's kill -9 to the first new output, with many keys and under load: on the same volume, where it is started
 * again at once, and on another machine, which has nothing but the object store. At the end every event has counted once.
 *
 *   npm run bench -- recovery [--keys 100000] [--rate 20000] [--json]
 */
const PROJECT = 'recovery';
const PARTITIONS = 4;
const SOURCE = `${PROJECT}.events`;
const RESULTS = `${PROJECT}.${perUser.compiled.to}`;
const WINDOW = { project: PROJECT, name: 'window.per-user', generation: 1 };
const START = Date.parse('2026-01-01T00:00:00Z');
/** Load before a kill: several snapshots, local and stored. */
const SETTLE_MS = 15_000;
const TICK_MS = 50;

interface Found {
  readonly where: 'same volume' | 'another machine';
  /** From the kill to the first new output. */
  readonly firstOutputMs: number;
  readonly replayed: number;
  readonly fromSnapshot: boolean;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '100000' },
      rate: { type: 'string', default: '20000' },
      json: { type: 'boolean', default: false },
    },
  });
  const [keys, rate] = [Number(values.keys), Number(values.rate)];
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-recovery-'));
  const kafka = await startKafka({ directory: join(folder, 'kafka'), memoryMb: 768 });
  const log = openKafkaLog({ brokers: [kafka.broker], clientId: 'recovery' });
  const load = { sent: 0, isOver: false };
  let worker: Worker | null = null;
  try {
    await log.ensureTopics([{ topic: SOURCE, partitions: PARTITIONS }]);
    const loading = produce(log, keys, rate, load);
    const start = async (name: string): Promise<Worker> => new Worker(await machine(folder, name, kafka.broker), name);
    worker = await start('one');
    while (load.sent < keys || (await lag(log)) > rate) await sleep(200);
    await sleep(SETTLE_MS);
    const found: Found[] = [];
    for (const [where, name] of [
      ['same volume', 'one'],
      ['another machine', 'two'],
    ] as const) {
      const killedAt = performance.now();
      worker.kill();
      worker = await start(name);
      // Long before the new one tells anything; what was on its way when the old one died is not new.
      await firstRecordFrom(log, await log.offsets(RESULTS));
      const firstOutputMs = Math.round(performance.now() - killedAt);
      while (worker.recovered.length < PARTITIONS) await sleep(50);
      found.push({
        where,
        firstOutputMs,
        replayed: worker.recovered.reduce((sum, each) => sum + each.replayed, 0),
        fromSnapshot: worker.recovered.every((each) => each.fromSnapshot),
      });
      while ((await lag(log)) > rate) await sleep(200);
      await sleep(SETTLE_MS);
    }
    load.isOver = true;
    await loading;
    while ((await lag(log)) > 0) await sleep(200);
    const counted = await eventsCounted(log);
    if (counted !== load.sent) throw new Error(`${counted} events counted, ${load.sent} sent`);
    const report = { keys, rate, events: load.sent, found };
    console.log(values.json ? JSON.stringify(report) : textOf(report));
  } finally {
    load.isOver = true;
    worker?.kill();
    await log.close();
    await kafka.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function textOf({ keys, rate, events, found }: { keys: number; rate: number; events: number; found: Found[] }): string {
  return [
    `${keys} keys, ${rate} events/s, ${events} events, each counted once`,
    ...found.map(
      ({ where, firstOutputMs, replayed, fromSnapshot }) =>
        `${where}: first new output ${firstOutputMs} ms after kill -9; ${replayed} records replayed ${fromSnapshot ? 'onto snapshots' : 'from the start'}`,
    ),
  ].join('\n');
}

/** A stream worker as a process of its own. */
class Worker {
  readonly recovered: { readonly replayed: number; readonly fromSnapshot: boolean }[] = [];
  private readonly child: ChildProcess;

  constructor(configuration: Configuration, instance: string) {
    const program = fileURLToPath(new URL('../../workers/stream.js', import.meta.url));
    this.child = spawn(
      process.execPath,
      [...WORKER_FLAGS, program, '--topologies', WINDOW.name, '--instance', instance],
      {
        env: { ...process.env, ...environmentOf(configuration), TIDEMILL_OBJECT_SNAPSHOTS: '5s' },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let rest = '';
    this.child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines.filter((each) => each.includes('"msg":"recovered"')))
        this.recovered.push(JSON.parse(line) as { replayed: number; fromSnapshot: boolean });
    });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

/** A folder with nothing in it but the way to what all machines share. */
async function machine(folder: string, name: string, broker: string): Promise<Configuration> {
  const home = join(folder, name);
  const shared = join(folder, 'shared');
  await mkdir(join(shared, 'objects'), { recursive: true });
  await mkdir(home, { recursive: true });
  await symlink(join(shared, 'objects'), join(home, 'objects')).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  return {
    project: PROJECT,
    projectModule: fileURLToPath(new URL('./recoveryProject.js', import.meta.url)),
    kafkaBrokers: [broker],
    temporalAddress: '127.0.0.1:1',
    temporalNamespace: 'default',
    home,
    registry: registryIn(shared),
    online: onlineStoreIn(home),
  };
}

/** Sends at an even rate until it is over: every key in turn, event time as slow as the clock. */
async function produce(
  log: Log,
  keys: number,
  rate: number,
  load: { sent: number; readonly isOver: boolean },
): Promise<void> {
  const producer = await log.producer();
  const startedAt = performance.now();
  while (!load.isOver) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * rate);
    const count = Math.min(due - load.sent, rate);
    if (count > 0) {
      const now = Math.floor(performance.now() - startedAt);
      await producer.send(
        Array.from({ length: count }, () => {
          const id = load.sent++;
          const user = id % keys;
          const value = JSON.stringify({ id, at: START + now, user, amount: 1 });
          return { topic: SOURCE, key: String(user), value };
        }),
      );
    }
    await sleep(TICK_MS);
  }
  await producer.close();
}

/** Records that the workers have not committed yet. */
async function lag(log: Log): Promise<number> {
  const ranges = await log.offsets(SOURCE);
  const known = await log.committed(
    groupId(WINDOW),
    ranges.map(({ partition }) => ({ topic: SOURCE, partition })),
  );
  return ranges.reduce((sum, { high }, at) => sum + high - (known[at]?.offset ?? 0), 0);
}

/** Waits for a result that nobody could see before. */
async function firstRecordFrom(
  log: Log,
  from: readonly { readonly partition: number; readonly high: number }[],
): Promise<void> {
  const found = new AbortController();
  await Promise.race(
    from.map(async ({ partition, high }) => {
      for await (const batch of log.read({ topic: RESULTS, partition, from: high, to: null, signal: found.signal }))
        if (batch.length > 0) return;
      await new Promise(() => undefined);
    }),
  );
  found.abort();
}

/** Events in the last word on every window. */
async function eventsCounted(log: Log): Promise<number> {
  let counted = 0;
  for (const { partition, low, high } of await log.offsets(RESULTS)) {
    const latest = new Map<string, number>();
    for await (const batch of log.read({ topic: RESULTS, partition, from: low, to: high })) {
      for (const { value } of batch) {
        const { key, start, events } = JSON.parse(String(value)) as { key: number; start: number; events: number };
        latest.set(`${key} ${start}`, events);
      }
    }
    for (const events of latest.values()) counted += events;
  }
  return counted;
}

await main();
