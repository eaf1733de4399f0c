import { TidemillError } from '../../contracts/errors.js';
import type { SnapshotHeader, Snapshots } from '../../streams/runtime/snapshotStore.js';
import type { Actor, Scheduler } from './scheduler.js';

/** What is kept of one task's snapshots. */
export interface ShelvedSnapshot {
  /** JSON of the header; null before anybody claimed it. */
  header: string | null;
  /** By key, in hex. */
  readonly entries: Map<string, Uint8Array>;
}

/**
 * Snapshots in memory, by folder, as their store keeps them in LMDB: entries and header change together, and a write of
 * somebody who is not the owner any more is refused. They outlive the process that wrote them.
 */
export class SnapshotShelf {
  private readonly folders = new Map<string, ShelvedSnapshot>();

  constructor(private readonly scheduler: Scheduler) {}

  /** Snapshots by the folder that they would be in: `INSTANCE/snapshots/TOPOLOGY/TASK`. */
  get all(): ReadonlyMap<string, ShelvedSnapshot> {
    return this.folders;
  }

  lose(isMeant: (folder: string) => boolean): number {
    const lost = [...this.folders.keys()].filter(isMeant);
    for (const folder of lost) this.folders.delete(folder);
    return lost.length;
  }

  /** Changes the last byte of every entry. */
  damage(isMeant: (folder: string) => boolean): number {
    let damaged = 0;
    for (const [folder, { entries }] of this.folders) {
      if (!isMeant(folder)) continue;
      for (const [key, value] of entries) {
        const bytes = Uint8Array.from(value);
        bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 0x55;
        entries.set(key, bytes);
        damaged++;
      }
    }
    return damaged;
  }

  open(actor: Actor, folder: string): Snapshots {
    const held = (): ShelvedSnapshot => {
      const known = this.folders.get(folder) ?? { header: null, entries: new Map<string, Uint8Array>() };
      this.folders.set(folder, known);
      return known;
    };
    const header = (): SnapshotHeader | null => {
      const text = held().header;
      return text === null ? null : (JSON.parse(text) as SnapshotHeader);
    };
    const claim: Snapshots['claim'] = async (owner, identity, kept = [], foreign = []) => {
      await this.scheduler.point(actor, 'claim snapshots');
      const before = header();
      const isSame = before !== null && before.identity === identity;
      const parts = isSame ? (before.parts ?? []).filter((part) => kept.includes(part)) : [];
      held().header = JSON.stringify({ owner, identity, offsets: isSame ? before.offsets : null, parts });
      for (const key of foreign) held().entries.delete(nameOf(key));
    };
    return {
      header,
      claim,
      entries: () => [...held().entries].map(([key, value]) => ({ key: Buffer.from(key, 'hex'), value })),
      get: (key) => held().entries.get(nameOf(key)),
      keys: (from, to) => keysBetween(held().entries, from, to),
      restored: () => Promise.resolve(),
      write: async (next, entries) => {
        await this.scheduler.point(actor, 'write snapshot');
        const owner = header()?.owner;
        if (owner !== next.owner)
          throw new TidemillError(
            'SNAPSHOT_NOT_OWNED',
            `${folder}: owned by ${owner ?? 'nobody'}, not by ${next.owner}`,
          );
        place(held(), entries);
        held().header = JSON.stringify(next);
      },
      reset: async (owner, identity) => {
        this.folders.delete(folder);
        await claim(owner, identity);
      },
      copyTo: () => Promise.reject(new Error(`invariant broken: nothing copies ${folder}`)),
      close: () => Promise.resolve(),
    };
  }
}

/** Puts changed entries in place; null removes one. */
export function place(
  { entries: held }: ShelvedSnapshot,
  entries: Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array | null }>,
): void {
  for (const { key, value } of entries) {
    const name = nameOf(key);
    if (value === null) held.delete(name);
    else held.set(name, Uint8Array.from(value));
  }
}

/** A key as a name: names are in the order of the keys' bytes. */
export function nameOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}

/** Keys from `from` up to, but without, `to`, in the order of their bytes. */
export function keysBetween(entries: ReadonlyMap<string, Uint8Array>, from: Uint8Array, to: Uint8Array): Uint8Array[] {
  const [first, end] = [nameOf(from), nameOf(to)];
  const names = [...entries.keys()].filter((name) => name >= first && name < end).sort();
  return names.map((name) => Buffer.from(name, 'hex'));
}
