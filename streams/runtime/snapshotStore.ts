import { existsSync } from 'node:fs';
import { mkdir, open as openFile, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { open, type RootDatabase } from 'lmdb';
import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { StoredState } from './storedState.js';

/** What a snapshot says about itself. */
export interface SnapshotHeader {
  /** Process that may write: a successor puts its own name here, and the predecessor's writes abort. */
  readonly owner: string;
  /** Views and format whose state it holds. */
  readonly identity: string;
  /** Next offsets by partition name: the state holds everything below them, and nothing else. */
  readonly offsets: Readonly<Record<string, number>> | null;
  /** Parts of the state that it holds, where the state has parts. */
  readonly parts?: readonly string[];
}

/** Snapshots of one task, wherever they are kept. */
export type Snapshots = Pick<SnapshotStore, keyof SnapshotStore>;

const HEADER_KEY = Buffer.from([0]);
const ENTRY_PREFIX = 1;

/**
 * Snapshots of one task in LMDB. Entries and the offsets that they belong to change in one LMDB transaction, which
 * checks the owner first.
 */
export class SnapshotStore implements StoredState {
  private constructor(
    private readonly folder: string,
    private database: RootDatabase<Buffer, Buffer>,
  ) {}

  /**
   * Opens a folder; one that cannot be opened is discarded: a snapshot is only a cache.
   *
   * LMDB reads its file through the memory map, so a damaged file may take the whole process down. A mark stands beside
   * the folder from here until `restored`: where a start finds one, the last start died of the file or in its midst, and
   * it is discarded.
   *
   * @throws TidemillError DISK_FULL
   */
  static async open(folder: string, onDiscard: (reason: string) => void): Promise<SnapshotStore> {
    const mark = `${folder}.restoring`;
    if (existsSync(mark)) {
      onDiscard(`${folder}: the last start ended while it read this snapshot`);
      await rm(folder, { recursive: true, force: true });
    }
    await mkdir(dirname(folder), { recursive: true });
    await requireRoom(dirname(folder));
    await writeFile(mark, '');
    try {
      return new SnapshotStore(folder, openDatabase(folder));
    } catch (error) {
      onDiscard(`${folder}: ${messageOf(error)}`);
      await rm(folder, { recursive: true, force: true });
      return new SnapshotStore(folder, openDatabase(folder));
    }
  }

  /** The whole snapshot has been read, or is not needed. */
  async restored(): Promise<void> {
    await rm(`${this.folder}.restoring`, { force: true });
  }

  /** @throws TidemillError STATE_CORRUPT */
  header(): SnapshotHeader | null {
    const bytes = this.database.get(HEADER_KEY);
    if (bytes === undefined) return null;
    try {
      return JSON.parse(bytes.toString('utf8')) as SnapshotHeader;
    } catch (error) {
      throw new TidemillError(
        'STATE_CORRUPT',
        `${this.folder}: the snapshot's header cannot be read`,
        { folder: this.folder },
        { cause: error },
      );
    }
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.database.get(storedKey(key));
  }

  *keys(from: Uint8Array, to: Uint8Array): Iterable<Uint8Array> {
    for (const key of this.database.getKeys({ start: storedKey(from), end: storedKey(to) })) yield key.subarray(1);
  }

  *entries(): Iterable<{ key: Uint8Array; value: Uint8Array }> {
    for (const { key, value } of this.database.getRange({ start: Buffer.from([ENTRY_PREFIX]) })) {
      yield { key: key.subarray(1), value };
    }
  }

  /**
   * Makes `owner` the only one whose writes count.
   *
   * @param kept parts that stay: what else there is will not be kept up any more.
   * @param foreign entries of other parts, which are deleted.
   * @throws TidemillError DISK_FULL
   */
  async claim(
    owner: string,
    identity: string,
    kept: readonly string[] = [],
    foreign: readonly Uint8Array[] = [],
  ): Promise<void> {
    const claimed = this.database.transaction(() => {
      const before = this.header();
      const isSame = before !== null && before.identity === identity;
      const header: SnapshotHeader = {
        owner,
        identity,
        offsets: isSame ? before.offsets : null,
        parts: isSame ? (before.parts ?? []).filter((part) => kept.includes(part)) : [],
      };
      void this.database.put(HEADER_KEY, Buffer.from(JSON.stringify(header)));
      for (const key of foreign) void this.database.remove(storedKey(key));
    });
    await this.settle(claimed);
  }

  /**
   * Writes changed entries with the offsets that they belong to, all or nothing.
   *
   * @throws TidemillError SNAPSHOT_NOT_OWNED where another process took over; DISK_FULL, and what was there stays.
   */
  async write(
    header: SnapshotHeader,
    entries: readonly { readonly key: Uint8Array; readonly value: Uint8Array | null }[],
  ): Promise<void> {
    const written = this.database.transaction(() => {
      const owner = this.header()?.owner;
      if (owner !== header.owner) return owner ?? 'nobody';
      for (const { key, value } of entries) {
        const stored = storedKey(key);
        if (value === null) void this.database.remove(stored);
        else void this.database.put(stored, bytesOf(value));
      }
      void this.database.put(HEADER_KEY, Buffer.from(JSON.stringify(header)));
      return null;
    });
    const refused = await this.settle(written);
    if (refused !== null) {
      throw new TidemillError('SNAPSHOT_NOT_OWNED', `${this.folder}: owned by ${refused}, not by ${header.owner}`, {
        folder: this.folder,
        owner: refused,
      });
    }
  }

  /** Throws the file away and starts a new one under an owner: a damaged file is not even cleared safely. */
  async reset(owner: string, identity: string): Promise<void> {
    await this.database.close();
    await rm(this.folder, { recursive: true, force: true });
    this.database = openDatabase(this.folder);
    await this.claim(owner, identity);
  }

  /** A consistent copy in a folder of its own, made beside the event loop; writes go on meanwhile and are not in it. */
  async copyTo(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    await this.database.backup(folder, true);
  }

  async close(): Promise<void> {
    await this.database.close();
  }

  /** @throws TidemillError DISK_FULL */
  private async settle<T>(transaction: Promise<T>): Promise<T> {
    try {
      return await transaction;
    } catch (error) {
      throw await commitFailure(this.folder, error);
    }
  }
}

/** Numbers of the system's errors, as LMDB passes them on. */
const EIO = 5;
const ENOSPC = 28;
/** Room below which a write that came up short did so for the lack of it. */
const LITTLE_ROOM_BYTES = 1 << 20;

async function roomIn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** LMDB writes its table of readers through the memory map: where there is no room for that the process dies of SIGBUS. */
async function requireRoom(folder: string): Promise<void> {
  const room = await roomIn(folder);
  if (room < LITTLE_ROOM_BYTES)
    throw new TidemillError('DISK_FULL', `${folder}: room for ${room} bytes is left`, { folder, room });
}

/** LMDB calls a write that came up short an error of input and output, and that is what becomes of most on a full disk. */
async function commitFailure(folder: string, error: unknown): Promise<unknown> {
  if (!isFailedCommit(error)) return error;
  // The reason comes in the same turn, or never.
  const cause = (await Promise.race([error.commitError.catch((reason: unknown) => reason), nextTurn(error)])) as Error;
  const { code } = cause as { readonly code?: unknown };
  const mayBeFull = code === EIO || cause === error;
  if (code !== ENOSPC && !(mayBeFull && (await roomIn(folder)) < LITTLE_ROOM_BYTES)) return cause;
  return new TidemillError('DISK_FULL', `${folder}: ${messageOf(cause)}`, { folder }, { cause });
}

/**
 * Is this the store's word for a transaction that was not written? Whoever writes gets it; the library rejects a promise of its
 * own with it, too, which nobody can wait for.
 */
export function isFailedCommit(error: unknown): error is Error & { readonly commitError: Promise<unknown> } {
  return error instanceof Error && 'commitError' in error && error.commitError instanceof Promise;
}

const READ_BYTES = 1 << 20;

/**
 * The header of snapshots that nobody has open.
 *
 * LMDB reads through the memory map, and the event loop stands still for as long as a page has to come from the disk, where
 * all pages of a new copy are. So the file is read through first, beside the event loop.
 */
export async function headerIn(folder: string): Promise<SnapshotHeader | null> {
  await readThrough(join(folder, 'data.mdb'));
  const database = openDatabase(folder);
  try {
    const bytes = database.get(HEADER_KEY);
    return bytes === undefined ? null : (JSON.parse(bytes.toString('utf8')) as SnapshotHeader);
  } finally {
    await database.close();
  }
}

async function readThrough(path: string): Promise<void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const file = await openFile(path);
  try {
    while ((await file.read(buffer, 0, buffer.length, null)).bytesRead > 0);
  } finally {
    await file.close();
  }
}

function bytesOf(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function storedKey(key: Uint8Array): Buffer {
  const stored = Buffer.allocUnsafe(key.length + 1);
  stored[0] = ENTRY_PREFIX;
  stored.set(key, 1);
  return stored;
}

function openDatabase(folder: string): RootDatabase<Buffer, Buffer> {
  return open<Buffer, Buffer>({ path: folder, encoding: 'binary', keyEncoding: 'binary', noSubdir: false });
}
