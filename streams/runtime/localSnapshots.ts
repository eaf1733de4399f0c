import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The snapshots of one generation of a topology on this machine. */
export interface LocalSnapshots {
  /** Name of their folder: `shop.score.fraud.g1`. */
  readonly folder: string;
  readonly path: string;
  readonly bytes: number;
  /** When one of them was last written: ms, by the clock of the disk. */
  readonly since: number;
}

/** Folder of all snapshots below that of a worker. */
export function snapshotsIn(directory: string): string {
  return join(directory, 'snapshots');
}

/** All that is kept below a worker's directory; nothing where nothing ran. */
export async function listLocalSnapshots(directory: string): Promise<readonly LocalSnapshots[]> {
  const root = snapshotsIn(directory);
  const folders = await unlessGone(readdir(root, { withFileTypes: true }));
  const found: LocalSnapshots[] = [];
  for (const { name: folder } of (folders ?? []).filter((each) => each.isDirectory())) {
    const path = join(root, folder);
    // An empty folder is as old as itself.
    let since = (await unlessGone(stat(path)))?.mtimeMs ?? 0;
    let bytes = 0;
    for (const entry of (await unlessGone(readdir(path, { recursive: true, withFileTypes: true }))) ?? []) {
      if (!entry.isFile()) continue;
      const status = await unlessGone(stat(join(entry.parentPath, entry.name)));
      since = Math.max(since, status?.mtimeMs ?? 0);
      bytes += status?.size ?? 0;
    }
    found.push({ folder, path, bytes, since: Math.floor(since) });
  }
  return found.sort((a, b) => (a.folder < b.folder ? -1 : 1));
}

/** A process that has one open goes on with what it has; what was written is rebuilt from the log by the next. */
export async function removeLocalSnapshots({ path }: LocalSnapshots): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

async function unlessGone<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
