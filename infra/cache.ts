import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where downloaded programs are kept: TIDEMILL_CACHE, else `~/.cache/tidemill`. */
export function cacheFolder(...path: readonly string[]): string {
  return join(process.env['TIDEMILL_CACHE'] ?? join(homedir(), '.cache', 'tidemill'), ...path);
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
