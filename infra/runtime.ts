import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isTidemillError, messageOf, TidemillError } from '../contracts/errors.js';
import { describeOnlineAddress, onlineStoreIn, parseOnlineAddress } from '../contracts/onlineAddress.js';
import type { Progress } from './command.js';
import { adoptKafka, startKafka } from './kafka.js';
import { isRunning, stopProcess, type ProcessIdentity } from './managedProcess.js';
import { answers } from './ports.js';
import { adoptRedis, startRedis } from './redis.js';
import { adoptTemporal, startTemporal } from './temporal.js';

/** The local runtime: real servers with their data under one folder, remembered in `runtime.json` there. */
export type ServiceName = 'kafka' | 'temporal' | 'redis';
export const SERVICES: readonly ServiceName[] = ['kafka', 'temporal', 'redis'];

export interface ServiceRecord extends ProcessIdentity {
  readonly port: number;
  readonly address: string;
  /** Temporal only. */
  readonly uiUrl?: string;
  readonly uiPort?: number;
}

export type RuntimeRecord = Readonly<Partial<Record<ServiceName, ServiceRecord>>>;

export interface RuntimeOptions {
  /** Folder of the runtime; `.tidemill` by default at the edges. */
  readonly home: string;
  readonly kafkaPort?: number;
  readonly temporalPort?: number;
  readonly temporalUiPort?: number;
  readonly redisPort?: number;
  readonly progress?: (service: ServiceName, text: string) => void;
}

export const DEFAULT_PORTS = { kafka: 9092, temporal: 7233, temporalUi: 8233, redis: 6379 } as const;

export type ServiceState =
  | {
      readonly service: ServiceName;
      readonly state: 'running';
      readonly address: string;
      readonly pid: number;
      readonly uiUrl?: string;
      /** Takes connections now. */
      readonly reachable: boolean;
    }
  /** The address comes from the environment: nothing is started or stopped. */
  | {
      readonly service: ServiceName;
      readonly state: 'external';
      readonly address: string;
      readonly reachable: boolean;
    }
  | {
      readonly service: ServiceName;
      readonly state: 'stopped';
      /** Redis only: what serves in its place. */
      readonly instead?: string;
    };

/** Environment variables with the address of a service that the runtime does not start itself. */
export const ADDRESS_VARIABLES: Readonly<Record<ServiceName, string>> = {
  kafka: 'TIDEMILL_KAFKA',
  temporal: 'TIDEMILL_TEMPORAL',
  redis: 'TIDEMILL_REDIS',
};

/**
 * Starts what is not running, side by side. One that is already there is left alone; one that runs on this folder's data but
 * is not remembered (its `up` was interrupted) is adopted. Where Redis cannot be had, the embedded online store serves.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE, RUNTIME_PORT_TAKEN, RUNTIME_START_FAILED; what did start keeps running.
 */
export async function up(options: RuntimeOptions): Promise<ServiceState[]> {
  await mkdir(options.home, { recursive: true });
  const started = await Promise.allSettled(SERVICES.map((service) => upService(service, options)));
  for (const result of started) if (result.status === 'rejected') throw result.reason;
  return status(options.home);
}

/** Starts one server unless it runs already; see `up`. */
export async function upService(service: ServiceName, options: RuntimeOptions): Promise<void> {
  const state = await stateOf(service, options.home);
  if (state.state !== 'stopped') return;
  const progress: Progress = (text) => options.progress?.(service, text);
  const directory = join(options.home, service);
  if (service === 'kafka') {
    const { identity, port, broker } =
      (await adoptKafka(directory)) ??
      (await startKafka({ directory, port: options.kafkaPort ?? DEFAULT_PORTS.kafka, progress }));
    await remember(options.home, service, { ...identity, port, address: broker });
    return;
  }
  if (service === 'redis') {
    await upRedis(directory, options, progress);
    return;
  }
  const { identity, port, address, uiUrl, uiPort } =
    (await adoptTemporal(directory)) ??
    (await startTemporal({
      directory,
      port: options.temporalPort ?? DEFAULT_PORTS.temporal,
      uiPort: options.temporalUiPort ?? DEFAULT_PORTS.temporalUi,
      progress,
    }));
  await remember(options.home, service, { ...identity, port, address, uiUrl, uiPort });
}

async function upRedis(directory: string, options: RuntimeOptions, progress: Progress): Promise<void> {
  try {
    const { identity, port, address } =
      (await adoptRedis(directory)) ??
      (await startRedis({ directory, port: options.redisPort ?? DEFAULT_PORTS.redis, progress }));
    await remember(options.home, 'redis', { ...identity, port, address });
  } catch (error) {
    if (!isTidemillError(error, 'RUNTIME_UNAVAILABLE')) throw error;
    progress(`${error.message}. Until then the embedded store serves: ${embeddedStore(options.home)}`);
  }
}

/** The online store of who has no Redis. */
function embeddedStore(home: string): string {
  return `LMDB in ${describeOnlineAddress(onlineStoreIn(home))}`;
}

/**
 * Stops exactly what `up` started; data stays unless `purge`. Returns the services that were stopped.
 *
 * @throws TidemillError RUNTIME_STOP_FAILED; what was not stopped stays remembered.
 */
export async function down(home: string, options: { readonly purge?: boolean } = {}): Promise<ServiceName[]> {
  const record = await readRecord(home);
  const left: { [service in ServiceName]?: ServiceRecord } = { ...record };
  const stopped: ServiceName[] = [];
  const results = await Promise.allSettled(
    SERVICES.map(async (service) => {
      const known = record[service];
      if (known !== undefined && (await isRunning(known))) {
        await stopProcess(known, 30_000);
        stopped.push(service);
      }
      delete left[service];
      if (options.purge === true) await rm(join(home, service), { recursive: true, force: true });
    }),
  );
  if (Object.keys(record).length > 0) await writeRecord(home, left);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return SERVICES.filter((service) => stopped.includes(service));
}

export async function status(home: string): Promise<ServiceState[]> {
  return Promise.all(SERVICES.map((service) => stateOf(service, home)));
}

async function stateOf(service: ServiceName, home: string): Promise<ServiceState> {
  const external = process.env[ADDRESS_VARIABLES[service]];
  if (external !== undefined && external !== '') {
    // A URL of Redis may hold a password.
    const address = service === 'redis' ? describeOnlineAddress(parseOnlineAddress(external)) : external;
    return { service, state: 'external', address, reachable: await isReachable(address) };
  }
  const known = (await readRecord(home))[service];
  if (known === undefined || !(await isRunning(known)))
    return { service, state: 'stopped', ...(service === 'redis' ? { instead: embeddedStore(home) } : {}) };
  const { address, pid, uiUrl } = known;
  const reachable = await isReachable(address);
  return { service, state: 'running', address, pid, ...(uiUrl === undefined ? {} : { uiUrl }), reachable };
}

/** Whether one of a list of host:port takes connections. */
async function isReachable(addresses: string): Promise<boolean> {
  const found = await Promise.all(
    addresses.split(',').map(async (address) => {
      const at = address.lastIndexOf(':');
      const port = Number(address.slice(at + 1));
      return Number.isInteger(port) && port > 0 && port < 65_536 && answers(port, address.slice(0, at));
    }),
  );
  return found.includes(true);
}

function recordFile(home: string): string {
  return join(home, 'runtime.json');
}

async function readRecord(home: string): Promise<RuntimeRecord> {
  const file = recordFile(home);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch (error) {
    throw recordInvalid(file, messageOf(error));
  }
  if (typeof record !== 'object' || record === null) throw recordInvalid(file, 'not an object');
  for (const [service, known] of Object.entries<Partial<ServiceRecord> | null>({ ...record })) {
    if (typeof known?.pid !== 'number' || typeof known.startTime !== 'string' || typeof known.address !== 'string') {
      throw recordInvalid(file, `${service} has no pid, start time and address`);
    }
  }
  return record;
}

function recordInvalid(file: string, reason: string): TidemillError {
  return new TidemillError('RUNTIME_RECORD_INVALID', `${file} cannot be read: ${reason}`, { file });
}

async function writeRecord(home: string, record: RuntimeRecord): Promise<void> {
  const unfinished = `${recordFile(home)}.unfinished`;
  await mkdir(home, { recursive: true });
  await writeFile(unfinished, JSON.stringify(record, null, 2));
  await rename(unfinished, recordFile(home));
}

/** Services start side by side: one write at a time. */
let lastWrite: Promise<void> = Promise.resolve();
async function remember(home: string, service: ServiceName, record: ServiceRecord): Promise<void> {
  const write = lastWrite.then(async () => writeRecord(home, { ...(await readRecord(home)), [service]: record }));
  lastWrite = write.catch(() => undefined);
  await write;
}
