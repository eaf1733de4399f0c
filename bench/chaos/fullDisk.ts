import { execFile } from 'node:child_process';
import { cp, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../contracts/errors.js';

const run = promisify(execFile);
const PAGE_BYTES = 4_096;
const ROOM_KB = 64 * 1_024;

/** Why no disk can be made full here; null where it can. */
export async function mayMount(): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-mount-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
    await run('umount', [folder]);
    return null;
  } catch (error) {
    return `a full disk is a small tmpfs, which cannot be mounted here: ${messageOf(error).split('\n')[0]}`;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A folder on a small disk of its own. */
export interface SmallDisk {
  /** Leaves no room. */
  fill(): Promise<void>;
  /** Makes the room again that `fill` took. */
  empty(): Promise<void>;
  /** Puts what is in the folder by now back to where it was. */
  end(): Promise<void>;
}

/** Puts a folder on a disk of its own, with little more room than what is in it takes. */
export async function onSmallDisk(folder: string): Promise<SmallDisk> {
  const filler = join(folder, 'filler');
  const moved = async (change: () => Promise<void>): Promise<void> => {
    const aside = await mkdtemp(join(tmpdir(), 'tidemill-aside-'));
    await cp(folder, aside, { recursive: true });
    await change();
    await cp(aside, folder, { recursive: true });
    await rm(aside, { recursive: true });
  };
  const { stdout } = await run('du', ['-sk', '--apparent-size', folder]);
  const size = Number(stdout.split('\t')[0]) + ROOM_KB;
  await moved(async () => void (await run('mount', ['-t', 'tmpfs', '-o', `size=${size}k`, 'tmpfs', folder])));
  return {
    fill: () => fill(filler),
    empty: () => rm(filler, { force: true }),
    end: async () => {
      await rm(filler, { force: true });
      await moved(async () => {
        await run('umount', ['--lazy', folder]);
        await rm(folder, { recursive: true });
      });
    },
  };
}

/** Writes pages until there is no room for another one. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    const page = Buffer.alloc(PAGE_BYTES);
    for (;;) await file.write(page);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await file.close();
  }
}
