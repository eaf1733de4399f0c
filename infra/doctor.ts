import { execFile } from 'node:child_process';
import { access, constants, mkdir, statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import { messageOf } from '../contracts/errors.js';
import { cacheFolder } from './cache.js';
import { programOnPath } from './command.js';
import { findJava } from './kafka.js';
import { answers, portHolder } from './ports.js';
import { DEFAULT_PORTS, status } from './runtime.js';
import { TEMPORAL_CLI_VERSION } from './temporal.js';
import { join } from 'node:path';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, or what to do. */
  readonly found: string;
}

/** Looks at what the platform needs of this machine; changes nothing but the runtime's folder, which it makes. */
export async function diagnose(home: string): Promise<Check[]> {
  const checks = await Promise.all([
    check('node 20.19 or newer', async () => {
      const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
      if (major < 20 || (major === 20 && minor < 19)) throw new Error(`this is ${process.version}`);
      return process.version;
    }),
    check('java 17 or newer (Kafka)', async () => {
      const { stderr } = await promisify(execFile)(await findJava(), ['-version']);
      const version = /version "(\d+)/.exec(stderr)?.[1];
      if (version === undefined || Number(version) < 17) throw new Error(stderr.split('\n')[0]);
      return `java ${version}`;
    }),
    check('Temporal CLI, or Go to build it', async () => {
      const found = process.env['TIDEMILL_TEMPORAL_CLI'] ?? (await programOnPath('temporal'));
      if (found !== null) return found;
      const cached = join(cacheFolder(`temporal-${TEMPORAL_CLI_VERSION}`), 'temporal');
      if (
        await access(cached).then(
          () => true,
          () => false,
        )
      )
        return cached;
      const go = await programOnPath('go');
      if (go === null) throw new Error('neither temporal nor go is on PATH');
      return `${go} (will build it once)`;
    }),
    check('folder for data is writable, 2 GB free', async () => {
      await mkdir(home, { recursive: true });
      await access(home, constants.W_OK);
      const { bavail, bsize } = await statfs(home);
      const gigabytes = (bavail * bsize) / 2 ** 30;
      if (gigabytes < 2) throw new Error(`${gigabytes.toFixed(1)} GB free at ${home}`);
      return `${gigabytes.toFixed(0)} GB free at ${home}`;
    }),
    ...Object.entries(DEFAULT_PORTS).map(([name, port]) =>
      check(`port ${port} (${name})`, async () => {
        if (!(await answers(port))) return 'free';
        const pid = await portHolder(port);
        const ours = (await status(home)).some((state) => state.state === 'running' && state.pid === pid);
        if (ours) return `used by this runtime (pid ${pid})`;
        throw new Error(`taken by ${pid === null ? 'another process' : `pid ${pid}`}`);
      }),
    ),
  ]);
  return checks;
}

async function check(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, found: await look() };
  } catch (error) {
    return { name, ok: false, found: messageOf(error) };
  }
}
