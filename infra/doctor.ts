import { execFile } from 'node:child_process';
import { access, constants, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../contracts/errors.js';
import { describeRegistryAddress, parseRegistryAddress } from '../contracts/registryAddress.js';
import { programOnPath } from './command.js';
import { findJava, locateKafka } from './findKafka.js';
import { locateRedis, OLDEST_REDIS } from './findRedis.js';
import { locateTemporal, TEMPORAL_CLI_VERSION } from './findTemporal.js';
import { KAFKA_VERSION } from './kafkaJars.js';
import { answers, describeHolder, portHolder } from './ports.js';
import { DEFAULT_PORTS, status, type ServiceState } from './runtime.js';
import { locateXgboostLibrary, XGBOOST_VERSION } from './xgboostLibrary.js';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, or what to do. */
  readonly found: string;
}

const NEEDED_GIGABYTES = 2;
const POSTGRES_PORT = 5432;

/** Looks at what the platform needs of this machine. Changes and fetches nothing. */
export async function diagnose(home: string): Promise<Check[]> {
  const states = await status(home).catch((): ServiceState[] => []);
  const registry = process.env['TIDEMILL_REGISTRY'] ?? '';
  return Promise.all([
    check('node 20.19 or newer', nodeVersion),
    check('java 17 or newer, for Kafka', javaVersion),
    check(`Kafka ${KAFKA_VERSION}`, async () => (await locateKafka()) ?? fetchedBy('mvn', 'fetched once')),
    check(
      `Temporal CLI ${TEMPORAL_CLI_VERSION}`,
      async () => (await locateTemporal()) ?? fetchedBy('tar', 'downloaded once, or built once by Go,'),
    ),
    check(
      `XGBoost ${XGBOOST_VERSION}, for training`,
      async () => (await locateXgboostLibrary()) ?? fetchedBy('python3', 'fetched once by pip'),
    ),
    check(`Redis ${OLDEST_REDIS}`, redisProgram),
    check('folder for data', () => writableFolder(home)),
    check('record of the runtime', async () => {
      const found = await status(home);
      return found.map(({ service, state }) => `${service} ${state}`).join(', ');
    }),
    ...Object.entries(DEFAULT_PORTS).map(([name, port]) => check(`port ${port}, ${name}`, () => portUse(port, states))),
    ...states
      .filter((state) => state.state === 'external')
      .map(({ service, address, reachable }) =>
        check(`${service} of the environment`, async () => {
          if (reachable) return `${address} answers`;
          throw new Error(`nothing answers at ${address}`);
        }),
      ),
    ...(registry === '' ? [] : [check('registry of the environment', () => registryUse(registry))]),
  ]);
}

async function nodeVersion(): Promise<string> {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  if (major < 20 || (major === 20 && minor < 19)) throw new Error(`this is ${process.version}`);
  return process.version;
}

async function javaVersion(): Promise<string> {
  const { stderr } = await promisify(execFile)(await findJava(), ['-version']);
  const version = /version "(\d+)/.exec(stderr)?.[1];
  if (version === undefined || Number(version) < 17) throw new Error(stderr.split('\n')[0]);
  return `java ${version}`;
}

async function fetchedBy(program: string, how: string): Promise<string> {
  const path = await programOnPath(program);
  if (path === null) throw new Error(`neither it nor ${program} is here`);
  return `not here yet: ${how} with ${path}`;
}

/** Without Redis nothing is missing: the embedded online store serves. */
async function redisProgram(): Promise<string> {
  const found = await locateRedis();
  if (found !== null) return found.program;
  const apt = await programOnPath('apt-get');
  return `not here${apt === null ? '' : ` yet: fetched once with ${apt}`}; without it the embedded LMDB serves`;
}

/** The folder, or where it would be made, takes files and has room. */
async function writableFolder(home: string): Promise<string> {
  let folder = resolve(home);
  const exists = (path: string): Promise<boolean> =>
    access(path).then(
      () => true,
      () => false,
    );
  while (!(await exists(folder)) && dirname(folder) !== folder) folder = dirname(folder);
  await access(folder, constants.W_OK);
  const { bavail, bsize } = await statfs(folder);
  const gigabytes = (bavail * bsize) / 2 ** 30;
  if (gigabytes < NEEDED_GIGABYTES) {
    throw new Error(`${gigabytes.toFixed(1)} GB free at ${folder} where ${NEEDED_GIGABYTES} are needed`);
  }
  return `${gigabytes.toFixed(0)} GB free at ${folder}`;
}

async function portUse(port: number, states: readonly ServiceState[]): Promise<string> {
  if (!(await answers(port))) return 'free';
  const pid = await portHolder(port);
  if (states.some((state) => state.state === 'running' && state.pid === pid)) return `this runtime, process ${pid}`;
  throw new Error(`taken by ${await describeHolder(pid)}`);
}

/** A server is only knocked at: whether it lets us in, the workers find out. */
async function registryUse(text: string): Promise<string> {
  const address = parseRegistryAddress(text);
  const place = describeRegistryAddress(address);
  if (address.kind === 'sqlite') return place;
  const { hostname, port } = new URL(address.url);
  if (hostname === '') return `${place}: named by a socket, not knocked at`;
  if (await answers(Number(port === '' ? POSTGRES_PORT : port), hostname.replace(/^\[|\]$/g, '')))
    return `${place} answers`;
  throw new Error(`nothing answers at ${place}`);
}

async function check(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, found: await look() };
  } catch (error) {
    return { name, ok: false, found: messageOf(error) };
  }
}
