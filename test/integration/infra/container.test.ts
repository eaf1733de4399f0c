import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import { readTopic } from '../../../activities/audit/readTopic.js';
import { fraud } from '../../../examples/fraud/project.js';
import { freePort } from '../../../infra/ports.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import { readCompose, readDockerfile, type ComposeService } from '../../support/composeFile.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { parseMetrics, sumOf } from '../../support/metricsText.js';
import { labelRecord, paymentRecord, payments } from '../../support/payments.js';
import { hasPostgres, startTestPostgres, type TestPostgres } from '../../support/postgres.js';
import { hasRedis, startTestRedis, type TestRedis } from '../../support/redis.js';

/** The folder that stands for /app in the image: this one, or one that the Dockerfile's steps were run in. */
const app = process.env['TIDEMILL_TEST_APP'] ?? process.cwd();
const isHere = (await hasRedis()) && (await hasPostgres());

/** What a service of the compose file runs as, as a process of this machine. */
interface Service {
  readonly name: string;
  readonly child: ChildProcess;
  readonly check: readonly string[];
  readonly env: Record<string, string>;
  readonly port: number;
  readonly ended: Promise<number | null>;
  output: string;
}

describe.skipIf(!isHere)('the commands of the compose file, each as its own process', () => {
  let kafka: TestKafka;
  let temporal: StartedTemporal;
  let redis: TestRedis;
  let postgres: TestPostgres;
  let compose: Map<string, ComposeService>;
  let addresses: [string | RegExp, string][];
  let objects: string;
  let entrypoint: string[];
  const running: Service[] = [];

  beforeAll(async () => {
    compose = await readCompose(join('infra', 'container', 'compose.yaml'));
    const instructions = await readDockerfile(join('infra', 'container', 'Dockerfile'));
    entrypoint = JSON.parse(instructions.findLast(({ name }) => name === 'ENTRYPOINT')?.text ?? '') as string[];
    kafka = await startTestKafka();
    temporal = await startTemporal({ directory: join(kafka.directory, 'temporal') });
    redis = await startTestRedis();
    postgres = await startTestPostgres();
    objects = join(kafka.directory, 'objects');
    await mkdir(objects);
    addresses = [
      ['kafka:9092', kafka.broker],
      ['temporal:7233', temporal.address],
      ['redis:6379', new URL(redis.url).host],
      [/^postgres:\/\/.*$/, await postgres.createDatabase()],
      [/^\/app(?=\/)/, app],
    ];
    await kafka.log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `shop.${name}`, partitions: 4 })),
    );
    // A new broker makes its topic of group offsets when it is first asked for a group, and refuses until that is done.
    const first = [{ topic: 'shop.transactions', partition: 0 }];
    await vi.waitFor(() => kafka.log.committed('first', first), { timeout: 60_000 });
  });
  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    await postgres.stop();
    await redis.stop();
    await temporal.stop();
    await kafka.stop();
  });

  /** Starts a service with the environment of the compose file, where only places are other ones. */
  async function start(name: string): Promise<Service> {
    const { command = [], environment = {}, healthcheck } = compose.get(name) as ComposeService;
    const env: Record<string, string> = {};
    for (const [variable, value] of Object.entries(environment)) {
      env[variable] = addresses.reduce((text, [from, to]) => text.replace(from, to), value);
    }
    const port = await freePort();
    const home = join(kafka.directory, 'containers', name);
    await mkdir(home, { recursive: true });
    await symlink(objects, join(home, 'objects'));
    Object.assign(env, {
      TIDEMILL_HOME: home,
      TIDEMILL_METRICS_PORT: String(port),
      TIDEMILL_METRICS_HOST: '127.0.0.1',
    });
    const given = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' };
    const [program, ...args] = [...entrypoint, ...command] as [string, ...string[]];
    const child = spawn(program, args, { cwd: app, env: { ...given, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const service: Service = {
      name,
      child,
      env: { ...given, ...env },
      port,
      check: healthcheck?.test?.slice(1) ?? [],
      ended: new Promise((resolve) => child.once('close', (code) => resolve(code))),
      output: '',
    };
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (service.output = (service.output + chunk.toString()).slice(-3_000)));
    running.push(service);
    return service;
  }

  async function isHealthy({ check, env }: Service): Promise<boolean> {
    const [program, ...args] = check as [string, ...string[]];
    const child = spawn(program, args, { cwd: app, env, stdio: 'ignore' });
    return new Promise((resolve) => child.once('close', (code) => resolve(code === 0)));
  }

  test('come up healthy, do their work, and end on SIGTERM', async () => {
    const first = await start('initialise');
    expect([await first.ended, first.output]).toMatchObject([0, expect.stringContaining('group initialised')]);
    const names = [...compose].filter(([, { image, profiles, healthcheck }]) => {
      return image === 'tidemill' && profiles?.includes('separate') && healthcheck?.disable !== true;
    });
    expect(names).toHaveLength(7);
    const services: Service[] = [];
    for (const [name] of names) services.push(await start(name));
    expect(await isHealthy(services[0] as Service)).toBe(false);
    for (const service of services) {
      while (!(await isHealthy(service))) {
        if (service.child.exitCode !== null) throw new Error(`${service.name} ended: ${service.output}`);
        await sleep(200);
      }
    }

    const sent = payments(400, { seed: 6, everyMs: 60_000 });
    const producer = await kafka.log.producer();
    await producer.send([
      ...sent.map((each) => paymentRecord('shop', each)),
      ...sent.map((each) => labelRecord('shop', each)),
    ]);
    await producer.close();
    const count = async (topic: string): Promise<number> => (await readTopic(kafka.log, topic)).length;
    while ((await count('shop.fraud.outcomes')) < 400) {
      for (const { name, child, output } of services)
        if (child.exitCode !== null) throw new Error(`${name} ended: ${output}`);
      await sleep(500);
    }
    while ((await count('shop.archive')) === 0) await sleep(500);
    const audit = await verifyServed(kafka.log, 'shop', fraud.compiled, new Map());
    expect(audit).toMatchObject({ records: 400, predictions: 400, missing: 0, repeated: 0, maxDifference: 0 });

    for (const { name, port } of services) {
      const samples = parseMetrics(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
      expect([name, sumOf(samples, 'tidemill_worker_ready')]).toEqual([name, 1]);
      if (name === 'lifecycle') expect(sumOf(samples, 'tidemill_temporal_worker_running')).toBe(4);
      else expect(sumOf(samples, 'tidemill_stream_task_state', { state: 'live' })).toBeGreaterThan(0);
    }
    for (const { child } of services) child.kill('SIGTERM');
    for (const { name, ended } of services) expect([name, await ended]).toEqual([name, 0]);
  });
});
