import { createHash, randomUUID } from 'node:crypto';
import { copyFile, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { TidemillError } from '../../contracts/errors.js';
import { diskFailure } from './diskFull.js';
import { diskUpkeep } from './diskUpkeep.js';
import type { StoredObject } from './objectStore.js';
import type { ObjectUpkeep } from './objectUpkeep.js';

const SCHEME = 'objects://';

/** Objects as files under a folder, named by their content. */
export function openDiskObjectStore(root: string): ObjectUpkeep {
  const base = resolve(root);
  const pathOf = (uri: string): string => {
    const path = resolve(base, uri.startsWith(SCHEME) ? uri.slice(SCHEME.length) : uri);
    if (!uri.startsWith(SCHEME) || !path.startsWith(base + sep)) {
      throw new TidemillError('OBJECT_OUTSIDE_ROOT', `${uri} is no address of this store`, { uri });
    }
    return path;
  };
  const store = async (
    prefix: string,
    extension: string,
    sha256: string,
    write: (path: string) => Promise<void>,
  ): Promise<StoredObject> => {
    const uri = `${SCHEME}${prefix}/${sha256}.${extension}`;
    const path = pathOf(uri);
    const unfinished = `${path}.${randomUUID()}`;
    try {
      await inFolder(dirname(path), () => write(unfinished));
      // Before it is at its address: from then on it may be set aside.
      const bytes = (await stat(unfinished)).size;
      await rename(unfinished, path);
      return { uri, sha256, bytes };
    } catch (error) {
      throw diskFailure(dirname(path), error);
    } finally {
      await rm(unfinished, { force: true });
    }
  };
  const check = (uri: string, found: string, sha256: string): void => {
    if (found === sha256) return;
    throw new TidemillError('OBJECT_CORRUPT', `${uri}: SHA-256 ${found} where ${sha256} is expected`, {
      uri,
      found,
      sha256,
    });
  };
  const upkeep = diskUpkeep(base, SCHEME, pathOf);
  /** Reads an object; one that was set aside comes back, whoever brings it back first. */
  const read = async <T>(uri: string, act: (path: string) => Promise<T>): Promise<T> => {
    const path = pathOf(uri);
    try {
      return await act(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    await upkeep.bringBack(uri);
    return act(path).catch((error: unknown) => {
      throw missing(uri, error);
    });
  };
  const localPath = async (uri: string, sha256: string): Promise<string> => {
    check(uri, await read(uri, sha256Of), sha256);
    return pathOf(uri);
  };
  return {
    ...upkeep,
    put: (prefix, extension, bytes) =>
      store(prefix, extension, createHash('sha256').update(bytes).digest('hex'), (path) => writeFile(path, bytes)),
    putFile: async (prefix, extension, path) =>
      store(
        prefix,
        extension,
        await sha256Of(path).catch((error: unknown) => Promise.reject(missing(path, error))),
        async (target) => {
          // A rename where both lie on one disk, else a copy.
          await rename(path, target).catch(async () => {
            await copyFile(path, target);
            await rm(path);
          });
        },
      ),
    // What is checked is what is given back: between a check of the file and a second reading it could change.
    get: async (uri, sha256) => {
      const bytes = await read(uri, (path) => readFile(path));
      check(uri, createHash('sha256').update(bytes).digest('hex'), sha256);
      return bytes;
    },
    localPath,
  };
}

/** Somebody who removes the last object of a folder removes the folder: it is made once more then. */
async function inFolder(folder: string, write: () => Promise<void>): Promise<void> {
  await mkdir(folder, { recursive: true });
  await write().catch(async (error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await mkdir(folder, { recursive: true });
    await write();
  });
}

/** What is hashed in one turn of the event loop: half a millisecond at most. */
const HASHED_BYTES = 1 << 17;

/** One buffer for the whole file: a stream's chunks would be garbage, hundreds of megabytes of it for a large snapshot. */
async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(HASHED_BYTES);
  const file = await open(path);
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

/** OBJECT_NOT_FOUND where the file is absent; any other failure as it is. */
function missing(uri: string, error: unknown): Error {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return error as Error;
  return new TidemillError('OBJECT_NOT_FOUND', `${uri} is not there`, { uri }, { cause: error });
}
