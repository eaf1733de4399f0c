import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { freePort, portHolder } from '../../../infra/ports.js';
import { hasRedis } from '../../support/redis.js';
import { down, status, up } from '../../../infra/runtime.js';

const run = promisify(execFile);

type Ports = Record<'kafkaPort' | 'temporalPort' | 'temporalUiPort' | 'redisPort', number>;

const isRedisHere = await hasRedis();
/** What `up` starts here, and how `status` sees it after `down`. */
const started = isRedisHere ? ['kafka', 'temporal', 'redis'] : ['kafka', 'temporal'];

async function freePorts(): Promise<Ports> {
  const [kafkaPort, temporalPort] = [await freePort(), await freePort()];
  return { kafkaPort, temporalPort, temporalUiPort: await freePort(), redisPort: await freePort() };
}

describe('the local runtime', () => {
  let home: string;
  let ports: Ports;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'tidemill-runtime-'));
    ports = await freePorts();
  });
  afterAll(async () => {
    await down(home);
    await rm(home, { recursive: true });
  });

  const topics = async (): Promise<string[]> => {
    const admin = new Kafka({ brokers: [`127.0.0.1:${ports.kafkaPort}`], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    try {
      await admin.createTopics({ topics: [{ topic: 'kept', numPartitions: 1 }] });
      return await admin.listTopics();
    } finally {
      await admin.disconnect();
    }
  };

  test('starts both servers, keeps their data over a restart, and stops exactly them', async () => {
    const servers = await up({ home, ...ports });
    const [kafka, , redis] = servers;
    if (isRedisHere) expect(redis).toMatchObject({ state: 'running', reachable: true });
    else expect(redis).toMatchObject({ state: 'stopped', instead: `LMDB in ${home}/online` });
    expect(kafka).toMatchObject({ service: 'kafka', state: 'running', address: `127.0.0.1:${ports.kafkaPort}` });
    expect(await topics()).toContain('kept');
    const connection = await Connection.connect({ address: `127.0.0.1:${ports.temporalPort}` });
    const attributes = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
    expect(Object.keys(attributes.customAttributes)).toContain('TidemillModel');
    await connection.close();

    // A second up leaves what runs alone.
    expect(await up({ home, ...ports })).toEqual(servers);

    expect(await down(home)).toEqual(started);
    expect((await status(home)).map(({ state }) => state)).toEqual(['stopped', 'stopped', 'stopped']);
    expect(await portHolder(ports.kafkaPort)).toBeNull();

    await up({ home, ...ports });
    expect(await topics()).toContain('kept');
  });

  test('adopts servers that run on its data but are not remembered, whatever port is asked for', async () => {
    const before = await status(home);
    await rm(join(home, 'runtime.json'));
    expect((await status(home)).map(({ state }) => state)).toEqual(['stopped', 'stopped', 'stopped']);
    const others = await freePorts();
    expect(await up({ home, ...others })).toEqual(before);
  });

  test('runs from a folder given relative to the working directory', async () => {
    const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
    const cwd = await mkdtemp(join(tmpdir(), 'tidemill-runtime-'));
    const env = { ...process.env, TIDEMILL_HOME: '', TIDEMILL_KAFKA: '', TIDEMILL_TEMPORAL: '', TIDEMILL_REDIS: '' };
    const tidemill = async (...args: string[]): Promise<unknown> =>
      JSON.parse(
        (await run(process.execPath, [cli, '--home', '.tidemill', '--json', ...args], { cwd, env })).stdout,
      ) as unknown;
    try {
      const free = [await freePort(), await freePort(), await freePort(), await freePort()] as const;
      const options = [
        '--kafka-port',
        `${free[0]}`,
        '--temporal-port',
        `${free[1]}`,
        '--temporal-ui-port',
        `${free[2]}`,
        '--redis-port',
        `${free[3]}`,
      ];
      const running = [
        { service: 'kafka', state: 'running', address: `127.0.0.1:${free[0]}`, reachable: true },
        { service: 'temporal', state: 'running', uiUrl: `http://127.0.0.1:${free[2]}`, reachable: true },
        isRedisHere
          ? { service: 'redis', state: 'running', address: `127.0.0.1:${free[3]}`, reachable: true }
          : { service: 'redis', state: 'stopped' },
      ];
      expect(await tidemill('up', ...options)).toMatchObject(running);
      expect(await tidemill('status')).toMatchObject(running);
    } finally {
      expect(await tidemill('down')).toEqual({ stopped: started });
      await rm(cwd, { recursive: true });
    }
  });

  test('says who holds a port that it needs', async () => {
    const other = await mkdtemp(join(tmpdir(), 'tidemill-runtime-'));
    const server: Server = createServer();
    const taken = await freePort();
    await new Promise<void>((resolve) => server.listen(taken, '127.0.0.1', resolve));
    try {
      const error: unknown = await up({
        home: other,
        ...(await freePorts()),
        kafkaPort: taken,
      }).catch((reason: unknown) => reason);
      expect(isTidemillError(error, 'RUNTIME_PORT_TAKEN')).toBe(true);
      expect((error as Error).message).toContain(`port ${taken} is taken by process ${process.pid}`);
    } finally {
      server.close();
      await down(other);
      await rm(other, { recursive: true });
    }
  });

  test('names three ways to supply what cannot be had', async () => {
    const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
    const empty = await mkdtemp(join(tmpdir(), 'tidemill-runtime-'));
    const env = { PATH: empty, TIDEMILL_CACHE: empty, HOME: empty, HTTPS_PROXY: '', NODE_OPTIONS: '' };
    const failed = await run(
      process.execPath,
      [cli, '--home', empty, '--json', 'up', '--kafka-port', '1', '--temporal-port', '2'],
      {
        env,
      },
    ).catch((reason: unknown) => reason as { code: number; stderr: string });
    expect(failed).toMatchObject({ code: 5 });
    const { error } = JSON.parse((failed as { stderr: string }).stderr.trim().split('\n').at(-1) as string) as {
      error: { code: string; message: string };
    };
    expect(error.code).toBe('RUNTIME_UNAVAILABLE');
    expect(error.message).toMatch(/Either .* or .* or /);
    await rm(empty, { recursive: true });
  });
});
