import { access, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TidemillError } from '../contracts/errors.js';
import { cacheFolder, fileSha256, fillCache } from './cache.js';
import { programOnPath, runCommand, type Progress } from './command.js';

/** Version of XGBoost's C library that is fetched. */
export const XGBOOST_VERSION = '3.2.0';

/** SHA-256 of the wheels of `xgboost-cpu`, by machine. */
const WHEELS: Readonly<Record<string, string>> = {
  'linux-x64': '9c10b1653e1a689bf4094a328144cf3633c9be0e5217a76fbdc2fde6abcb2950',
  'linux-arm64': '896b9e2bc52ec0921edf92ddd1cebedf47032e94992b7aca0293524d380ce6e9',
};

const SYSTEM_LIBRARIES = [
  '/usr/lib/libxgboost.so',
  '/usr/local/lib/libxgboost.so',
  '/usr/lib/x86_64-linux-gnu/libxgboost.so',
  '/usr/lib/aarch64-linux-gnu/libxgboost.so',
];

/**
 * Path of XGBoost's shared library: TIDEMILL_XGBOOST, else the cache, filled from the `xgboost-cpu` wheel by pip where it
 * is on PATH, else the library of the system.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE naming three ways to supply it.
 */
export async function findXgboostLibrary(progress: Progress = () => undefined): Promise<string> {
  const given = process.env['TIDEMILL_XGBOOST'];
  if (given !== undefined && given !== '') return given;
  const folder = cacheFolder(`xgboost-${XGBOOST_VERSION}`);
  const cached = libraryIn(folder);
  if (await exists(cached)) return cached;
  const problems = await fillCache(folder, [(unfinished) => fetchWheel(unfinished, progress)], async (filled) =>
    (await exists(libraryIn(filled))) ? null : 'the wheel holds no library',
  );
  if (problems === null) return cached;
  for (const path of SYSTEM_LIBRARIES) if (await exists(path)) return path;
  throw new TidemillError(
    'RUNTIME_UNAVAILABLE',
    `XGBoost's library cannot be had. Either set TIDEMILL_XGBOOST to the path of libxgboost.so, or install Python's pip, which ` +
      `fetches the wheel xgboost-cpu ${XGBOOST_VERSION}, or install the system's package libxgboost. Tried: ${problems.join('; ')}`,
    { service: 'xgboost', problems },
  );
}

/** Where the library is already; null where it would have to be fetched. */
export async function locateXgboostLibrary(): Promise<string | null> {
  const given = process.env['TIDEMILL_XGBOOST'];
  if (given !== undefined && given !== '') return (await exists(given)) ? given : null;
  const cached = libraryIn(cacheFolder(`xgboost-${XGBOOST_VERSION}`));
  for (const path of [cached, ...SYSTEM_LIBRARIES]) if (await exists(path)) return path;
  return null;
}

function libraryIn(folder: string): string {
  return join(folder, 'xgboost', 'lib', 'libxgboost.so');
}

async function fetchWheel(folder: string, progress: Progress): Promise<void> {
  const machine = `${process.platform}-${process.arch}`;
  const sha256 = WHEELS[machine];
  if (sha256 === undefined) throw new Error(`no wheel is pinned for ${machine}`);
  const python = await programOnPath('python3');
  if (python === null) throw new Error('python3 is not on PATH');
  progress(`fetching XGBoost ${XGBOOST_VERSION}`);
  const wanted = ['--no-deps', '--only-binary=:all:', '-d', folder, `xgboost-cpu==${XGBOOST_VERSION}`];
  await runCommand(python, ['-m', 'pip', 'download', ...wanted]);
  const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error('pip downloaded no wheel');
  const found = await fileSha256(join(folder, wheel));
  if (found !== sha256) throw new Error(`${wheel}: SHA-256 ${found ?? 'absent'} where ${sha256} is expected`);
  await runCommand(python, ['-m', 'zipfile', '-e', join(folder, wheel), folder]);
  await rm(join(folder, wheel));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
