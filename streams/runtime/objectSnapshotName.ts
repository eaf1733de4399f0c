import { topologyPrefix, type TopologyIdentity } from '../../contracts/topics.js';
import type { ListedObject } from '../../stores/objects/objectStore.js';

/** A snapshot in the object store, as its address describes it. */
export interface ObjectSnapshot {
  readonly uri: string;
  readonly sha256: string;
  readonly bytes: number;
  /** When it was stored: ms, by the clock of the store. */
  readonly since: number;
  /** Format and meaning of the state in it. */
  readonly identity: string;
  /** Next offsets by partition name. */
  readonly offsets: Readonly<Record<string, number>>;
}

/** Where all snapshots are. */
export const SNAPSHOTS_PREFIX = 'snapshots';

/** Where the snapshots of a task are, whatever state they hold. */
export function objectSnapshotPrefix(identity: TopologyIdentity, task: string): string {
  return `${SNAPSHOTS_PREFIX}/${topologyPrefix(identity)}/${task}`;
}

/**
 * The folder of one snapshot: its state, and the offsets up to which it holds it.
 *
 *   snapshots/shop.score.fraud.g1/entry-0 / 5be1… / shop.payments-0@1200 / shop.labels-0@33
 */
export function objectSnapshotFolder(
  prefix: string,
  { identity, offsets }: Pick<ObjectSnapshot, 'identity' | 'offsets'>,
): string {
  const places = Object.entries(offsets).map(([name, offset]) => `${name}@${offset}`);
  return [prefix, encodeURIComponent(identity), ...places.sort()].join('/');
}

/** What an address below `prefix` says; null where it is not the address of a snapshot: a writer that died leaves such. */
export function objectSnapshotOf(prefix: string, { uri, bytes, since }: ListedObject): ObjectSnapshot | null {
  const [identity, ...rest] = uri.slice(`objects://${prefix}/`.length).split('/');
  const sha256 = /^([0-9a-f]{64})\.mdb$/.exec(rest.pop() ?? '')?.[1];
  if (identity === undefined || sha256 === undefined) return null;
  const offsets: Record<string, number> = {};
  for (const place of rest) {
    const [, name, offset] = /^(.+)@(\d+)$/.exec(place) ?? [];
    if (name === undefined) return null;
    offsets[name] = Number(offset);
  }
  return { uri, sha256, bytes, since, identity: decodeURIComponent(identity), offsets };
}

/** How far offsets have come, all partitions together: of two snapshots of a task the one with more is the newer. */
export function progressOf(offsets: Readonly<Record<string, number>>): number {
  return Object.values(offsets).reduce((sum, offset) => sum + offset, 0);
}
