import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, realpath, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { TidemillError } from '../contracts/errors.js';
import { cacheFolder, fillCache } from './cache.js';
import { programOnPath, runCommand, type Progress } from './command.js';

/** Oldest Redis that the online store is tested with. */
export const OLDEST_REDIS = 7;

/** A server program, and the folder of libraries that it needs besides the system's. */
export interface RedisProgram {
  readonly program: string;
  readonly libraries: string | null;
}

/**
 * The Redis server: TIDEMILL_REDIS_SERVER, else `redis-server` on PATH, else the cache, filled by apt where it is here: its
 * packages, whose signatures apt checks, are unpacked into the cache. Nothing of the system changes, and nobody need be root.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE naming ways to supply it.
 */
export async function findRedis(progress: Progress = () => undefined): Promise<RedisProgram> {
  const present = await locateRedis();
  if (present !== null) return present;
  const folder = cacheFolder('redis');
  const problems = await fillCache(folder, [(unfinished) => unpackPackages(unfinished, progress)], async (filled) =>
    (await programIn(filled)) === null ? 'the packages hold no server of that version that runs here' : null,
  );
  if (problems === null) return (await programIn(folder)) as RedisProgram;
  throw new TidemillError(
    'RUNTIME_UNAVAILABLE',
    `Redis ${OLDEST_REDIS} cannot be had. Either set TIDEMILL_REDIS to a server's host:port, or put redis-server on PATH (apt or ` +
      `brew install redis), or set TIDEMILL_REDIS_SERVER to the program. Tried: ${problems.join('; ')}`,
    { service: 'redis', problems },
  );
}

/**
 * The same without fetching anything: null where it would have to be fetched.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE where TIDEMILL_REDIS_SERVER names a program that is none or too old.
 */
export async function locateRedis(): Promise<RedisProgram | null> {
  const given = process.env['TIDEMILL_REDIS_SERVER'];
  if (given !== undefined && given !== '') {
    const version = await versionOf(given, null);
    if (version !== null && version >= OLDEST_REDIS) return { program: given, libraries: null };
    throw new TidemillError(
      'RUNTIME_UNAVAILABLE',
      `TIDEMILL_REDIS_SERVER is ${given}, which ${version === null ? 'does not run' : `is of version ${version}`}; ` +
        `${OLDEST_REDIS} or newer is needed. Either correct it, or unset it, or set TIDEMILL_REDIS to a server's host:port`,
      { service: 'redis', program: given, version },
    );
  }
  const onPath = await programOnPath('redis-server');
  if (onPath !== null && ((await versionOf(onPath, null)) ?? 0) >= OLDEST_REDIS) {
    return { program: onPath, libraries: null };
  }
  return programIn(cacheFolder('redis'));
}

/** The server that packages were unpacked to. */
async function programIn(folder: string): Promise<RedisProgram | null> {
  const program = join(folder, 'usr', 'bin', 'redis-server');
  const isThere = await access(program, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!isThere) return null;
  const base = join(folder, 'usr', 'lib');
  const [libraries] = (await readdir(base).catch(() => []))
    .filter((name) => name.includes('-linux-'))
    .map((name) => join(base, name));
  const found = { program, libraries: libraries ?? null };
  return ((await versionOf(program, found.libraries)) ?? 0) >= OLDEST_REDIS ? found : null;
}

/** Major version that a program says it is of; null where it does not run. */
async function versionOf(program: string, libraries: string | null): Promise<number | null> {
  const env = libraries === null ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries };
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { env, timeout: 10_000 });
    const [, major] = /v=(\d+)\./.exec(stdout) ?? [];
    return major === undefined ? null : Number(major);
  } catch {
    return null;
  }
}

/** Fetches the server's packages, and those that they need and the system lacks, and unpacks them below `folder`. */
async function unpackPackages(folder: string, progress: Progress): Promise<void> {
  const [apt, dpkg] = [await programOnPath('apt-get'), await programOnPath('dpkg-deb')];
  if (apt === null || dpkg === null) throw new Error('apt-get and dpkg-deb are not on PATH');
  progress('fetching Redis by apt');
  const work = join(folder, 'apt');
  for (const name of ['lists/partial', 'archives/partial']) await mkdir(join(work, name), { recursive: true });
  const settings = [
    `Dir::State::lists=${join(work, 'lists')}`,
    `Dir::Cache=${work}`,
    `Dir::Cache::archives=${join(work, 'archives')}`,
    'Debug::NoLocking=true',
    'APT::Sandbox::User=',
  ].flatMap((setting) => ['-o', setting]);
  await runCommand(apt, [...settings, '-qq', 'update']);
  await runCommand(apt, [
    ...settings,
    ...[
      '-qq',
      '-y',
      '--reinstall',
      '--download-only',
      '--no-install-recommends',
      'install',
      'redis-server',
      'redis-tools',
    ],
  ]);
  for (const name of await readdir(join(work, 'archives'))) {
    if (name.endsWith('.deb')) await runCommand(dpkg, ['-x', join(work, 'archives', name), folder]);
  }
  await rm(work, { recursive: true });
  // Debian's redis-server is a link of an absolute path.
  const program = join(folder, 'usr', 'bin', 'redis-server');
  const target = join(dirname(program), 'redis-check-rdb');
  if ((await realpath(program).catch(() => null)) === null) {
    await rm(program, { force: true });
    await symlink('redis-check-rdb', program);
    await access(target, constants.X_OK);
  }
}
