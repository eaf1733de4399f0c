import { mkdir, readdir, rename, rm, rmdir, stat, utimes } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { ListedObject } from './objectStore.js';
import type { ObjectUpkeep } from './objectUpkeep.js';

/** Folder, beside the prefixes, of what was set aside. */
const ASIDE = '.aside';

type DiskUpkeep = Pick<ObjectUpkeep, 'list' | 'remove' | 'listAside' | 'setAside' | 'bringBack' | 'deleteAside'>;

/**
 * Upkeep of a folder of objects. Moves are renames: an object is at its address or aside, and never half of it.
 *
 * @param pathOf path of an address; refuses what lies outside of `base`.
 */
export function diskUpkeep(base: string, scheme: string, pathOf: (uri: string) => string): DiskUpkeep {
  const uriOf = (root: string, file: string): string => `${scheme}${relative(root, file).split(sep).join('/')}`;
  const asideOf = (uri: string): string => join(base, ASIDE, relative(base, pathOf(uri)));
  const listIn = async (root: string, prefix: string): Promise<readonly ListedObject[]> => {
    // Refuses a prefix that leads out of the store.
    const folder = join(root, relative(base, pathOf(`${scheme}${prefix}`)));
    const entries = await unless('ENOENT', readdir(folder, { recursive: true, withFileTypes: true }));
    const found: ListedObject[] = [];
    for (const entry of entries ?? []) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      // One that was moved since the folder was read is not listed.
      const status = await unless('ENOENT', stat(file));
      if (status === null) continue;
      found.push({ uri: uriOf(root, file), bytes: status.size, since: Math.floor(status.mtimeMs) });
    }
    return found.sort((a, b) => (a.uri < b.uri ? -1 : 1));
  };
  return {
    list: (prefix) => listIn(base, prefix),
    remove: async (uri) => {
      await rm(pathOf(uri), { force: true });
      // Addresses that say much have many folders: what is empty by now goes, too.
      for (let folder = dirname(pathOf(uri)); folder !== base; folder = dirname(folder))
        if (!(await isGone(folder))) return;
    },
    listAside: (prefix) => listIn(join(base, ASIDE), prefix),
    setAside: async (uri) => {
      const [path, aside] = [pathOf(uri), asideOf(uri)];
      await mkdir(dirname(aside), { recursive: true });
      // Before the move: what lies aside never looks as if it had lain there for long.
      const now = new Date();
      await unless('ENOENT', utimes(path, now, now));
      await unless('ENOENT', rename(path, aside));
    },
    bringBack: async (uri) => {
      await unless('ENOENT', rename(asideOf(uri), pathOf(uri)));
    },
    deleteAside: (uri) => rm(asideOf(uri), { force: true }),
  };
}

/** Removes a folder that is empty. */
async function isGone(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
}

async function unless<T>(code: string, work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return null;
    throw error;
  }
}
