import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HOUR_MS } from '../../contracts/duration.js';
import { messageOf } from '../../contracts/errors.js';
import type { ObjectStore } from '../../stores/objects/objectStore.js';
import { processClock } from './clock.js';
import {
  objectSnapshotFolder,
  objectSnapshotOf,
  objectSnapshotPrefix,
  progressOf,
  type ObjectSnapshot,
} from './objectSnapshotName.js';
import { headerIn, type Snapshots } from './snapshotStore.js';
import type { TaskContext } from './taskContext.js';

export interface ObjectSnapshotOptions {
  readonly objects: Pick<ObjectStore, 'putFile' | 'localPath' | 'list' | 'remove'>;
  /** A copy of a task's snapshot is stored at most this often. @default 60000 */
  readonly intervalMs?: number;
}

const INTERVAL_MS = 60_000;
/** In the name of a copy that is being made, between those of the folder and of the copy. */
const COPY = '.copy-';
/** Younger snapshots stay, whatever their number. */
const KEPT_MS = HOUR_MS;
/** So many of the newest stay, however old. */
const KEPT = 2;

/**
 * Copies of a task's snapshots outside of the machine that runs it. They are immutable, named by state, task, offsets and
 * SHA-256, and found by listing: there is no list that could be wrong about them.
 *
 * The copy is made of one state of the database while the task goes on: neither a fold nor a commit waits for it, and a copy
 * that fails costs nothing but a longer replay on another machine.
 */
export class ObjectSnapshots {
  private readonly prefix: string;
  private readonly clock;
  private storedAt: number;
  private storing: Promise<void> | null = null;

  constructor(
    private readonly context: TaskContext,
    private readonly settings: ObjectSnapshotOptions,
    /** Of the task's local snapshots. */
    private readonly folder: string,
  ) {
    this.prefix = objectSnapshotPrefix(context.topology.identity, context.id);
    this.clock = context.options.clock ?? processClock;
    this.storedAt = this.clock.now();
  }

  /** Stores a copy in the background where one is due, and none is under way. */
  offer(snapshots: Pick<Snapshots, 'copyTo'>): void {
    const isDue = this.clock.now() - this.storedAt >= (this.settings.intervalMs ?? INTERVAL_MS);
    if (this.storing !== null || !isDue) return;
    this.storedAt = this.clock.now();
    const { options, id } = this.context;
    this.storing = this.store(snapshots)
      .catch((error: unknown) => options.onEvent?.({ kind: 'snapshotNotStored', task: id, reason: messageOf(error) }))
      .finally(() => {
        this.storing = null;
      });
  }

  /** The copy under way is stored, or has failed. */
  async settled(): Promise<void> {
    await this.storing;
  }

  /**
   *   1. copy the database; what is written meanwhile is not in it
   *   2. read in the copy what it holds
   *   3. move it in under its name
   *   4. remove what is not needed any more
   */
  private async store(snapshots: Pick<Snapshots, 'copyTo'>): Promise<void> {
    const { options, id } = this.context;
    const startedAt = this.clock.now();
    await this.removeLeftovers();
    const copy = `${this.folder}${COPY}${randomUUID()}`;
    try {
      // 1 copy
      await snapshots.copyTo(copy);
      // 2 header
      const header = await headerIn(copy);
      const { offsets } = header ?? {};
      if (header === null || offsets === undefined || offsets === null) return;
      const { identity } = header;
      // 3 store
      const stored = await this.settings.objects.putFile(
        objectSnapshotFolder(this.prefix, { identity, offsets }),
        'mdb',
        join(copy, 'data.mdb'),
      );
      const ms = Math.round(this.clock.now() - startedAt);
      options.onEvent?.({ kind: 'snapshotStored', task: id, uri: stored.uri, bytes: stored.bytes, ms });
      // 4 prune
      await this.prune(identity, offsets);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  }

  /** A process that died in the midst of a copy left it behind. */
  private async removeLeftovers(): Promise<void> {
    const names = await readdir(dirname(this.folder));
    for (const name of names.filter((each) => each.startsWith(`${basename(this.folder)}${COPY}`)))
      await rm(join(dirname(this.folder), name), { recursive: true, force: true });
  }

  /** All snapshots of the task, the newest first. */
  async list(): Promise<ObjectSnapshot[]> {
    const found = (await this.settings.objects.list(this.prefix)).flatMap(
      (object) => objectSnapshotOf(this.prefix, object) ?? [],
    );
    return found.sort((a, b) => progressOf(b.offsets) - progressOf(a.offsets));
  }

  /**
   * Brings a snapshot to this machine and checks it.
   *
   * @returns what puts it in the place of the local one, which nobody may have open then.
   * @throws TidemillError OBJECT_CORRUPT, OBJECT_NOT_FOUND
   */
  async fetch({ uri, sha256 }: ObjectSnapshot): Promise<() => Promise<void>> {
    const arriving = `${this.folder}.arriving`;
    await rm(arriving, { recursive: true, force: true });
    await mkdir(arriving, { recursive: true });
    await copyFile(await this.settings.objects.localPath(uri, sha256), join(arriving, 'data.mdb'));
    return async () => {
      await rm(this.folder, { recursive: true, force: true });
      await rename(arriving, this.folder);
    };
  }

  /**
   * What is ahead of what was just stored can be used by nobody, and keeps no older one from being kept: of those that can be
   * used the newest stay.
   */
  private async prune(identity: string, offsets: Readonly<Record<string, number>>): Promise<void> {
    const all = await this.list();
    const isUsable = (each: ObjectSnapshot): boolean =>
      each.identity === identity && Object.entries(each.offsets).every(([name, at]) => at <= (offsets[name] ?? -1));
    const kept = new Set(all.filter(isUsable).slice(0, KEPT));
    const now = Math.max(0, ...all.map(({ since }) => since));
    for (const each of all)
      if (!kept.has(each) && now - each.since >= KEPT_MS) await this.settings.objects.remove(each.uri);
  }
}
