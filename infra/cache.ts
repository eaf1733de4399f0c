import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../contracts/errors.js';

/** Where downloaded programs are kept: TIDEMILL_CACHE, else `~/.cache/tidemill`. */
export function cacheFolder(...path: readonly string[]): string {
  return join(process.env['TIDEMILL_CACHE'] ?? join(homedir(), '.cache', 'tidemill'), ...path);
}

/**
 * Fills a folder of the cache, one way after the other until one works. Each fills a folder beside it, which is moved to its
 * place once it is whole: what is interrupted leaves nothing that looks complete. What was there before, damaged, is removed.
 *
 * @param ways each throws where it cannot, or where what it fetched is not right.
 * @param problemOf what is wrong with the folder; null where nothing is. Of two processes the faster one's folder counts.
 * @returns null, or why none of the ways worked.
 */
export async function fillCache(
  folder: string,
  ways: readonly ((unfinished: string) => Promise<void>)[],
  problemOf: (folder: string) => Promise<string | null>,
): Promise<readonly string[] | null> {
  const problems: string[] = [];
  for (const way of ways) {
    const unfinished = `${folder}.${randomUUID()}`;
    try {
      await mkdir(unfinished, { recursive: true });
      await way(unfinished);
      const problem = await problemOf(unfinished);
      if (problem !== null) throw new Error(problem);
      await install(unfinished, folder, problemOf);
      return null;
    } catch (error) {
      problems.push(messageOf(error));
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  }
  return (await problemOf(folder)) === null ? null : problems;
}

async function install(
  checked: string,
  folder: string,
  problemOf: (folder: string) => Promise<string | null>,
): Promise<void> {
  const damaged = `${folder}.${randomUUID()}`;
  await rename(folder, damaged).catch(ignoreAbsence);
  try {
    await rename(checked, folder);
  } catch (error) {
    // Another process may have been faster: then its folder counts.
    if ((await problemOf(folder)) !== null) throw error;
  } finally {
    await rm(damaged, { recursive: true, force: true });
  }
}

function ignoreAbsence(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** SHA-256 of a file, hex; null where there is no such file. */
export async function fileSha256(path: string): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  return hash.digest('hex');
}
