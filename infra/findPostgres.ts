import { access, constants, readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TidemillError } from '../contracts/errors.js';
import { programOnPath } from './command.js';

/** Oldest PostgreSQL that the registry is tested with. */
export const OLDEST_POSTGRES = 13;

/** Folders in which packages of PostgreSQL keep one folder per major version, with `bin` inside. */
const PACKAGE_FOLDERS: readonly (readonly [folder: string, version: RegExp])[] = [
  ['/usr/lib/postgresql', /^(\d+)$/],
  ['/opt/homebrew/opt', /^postgresql@(\d+)$/],
  ['/usr/local/opt', /^postgresql@(\d+)$/],
];

/**
 * Folder of PostgreSQL's server programs (`initdb`, `postgres`): TIDEMILL_POSTGRES, else that of `postgres` on PATH, links
 * followed, else the newest one that a package of the system brought. Null where there is none.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE where TIDEMILL_POSTGRES names a folder without them.
 */
export async function locatePostgres(): Promise<string | null> {
  const given = process.env['TIDEMILL_POSTGRES'];
  if (given !== undefined && given !== '') {
    if (await hasPrograms(given)) return given;
    throw new TidemillError(
      'RUNTIME_UNAVAILABLE',
      `TIDEMILL_POSTGRES is ${given}, where initdb and postgres are not. Either name the folder that holds them, or unset ` +
        `it and install PostgreSQL ${OLDEST_POSTGRES} or newer, or use the registry in a file, which needs no server`,
      { service: 'postgres', folder: given },
    );
  }
  const onPath = await programOnPath('postgres');
  if (onPath !== null) {
    // Packages put a link on PATH, and initdb only beside what it points to.
    const folder = dirname(await realpath(onPath));
    if (await hasPrograms(folder)) return folder;
  }
  return newestPackage();
}

async function newestPackage(): Promise<string | null> {
  const found: { readonly version: number; readonly bin: string }[] = [];
  for (const [folder, pattern] of PACKAGE_FOLDERS) {
    for (const name of await readdir(folder).catch(() => [])) {
      const version = Number(pattern.exec(name)?.[1]);
      const bin = join(folder, name, 'bin');
      if (version >= OLDEST_POSTGRES && (await hasPrograms(bin))) found.push({ version, bin });
    }
  }
  return found.sort((a, b) => b.version - a.version)[0]?.bin ?? null;
}

async function hasPrograms(folder: string): Promise<boolean> {
  for (const program of ['initdb', 'postgres']) {
    const isThere = await access(join(folder, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!isThere) return false;
  }
  return true;
}
