import { pathToFileURL } from 'node:url';
import type { PrunedObject, PruneReport } from '../contracts/pruneReport.js';
import type { ListedObject } from '../stores/objects/objectStore.js';
import type { ObjectUpkeep } from '../stores/objects/objectUpkeep.js';
import { pruneObjects } from '../stores/objects/pruneObjects.js';
import { SNAPSHOTS_PREFIX } from '../streams/runtime/objectSnapshotName.js';
import { listLocalSnapshots, removeLocalSnapshots } from '../streams/runtime/localSnapshots.js';
import { isDue, whyKept, type SnapshotNeeds } from './snapshotNeeds.js';

export interface PruneSnapshotsOptions {
  readonly needs: SnapshotNeeds;
  readonly nowMs: number;
  /** False: only says what it would do. */
  readonly apply: boolean;
}

/**
 * Does away with copies of snapshots in the object store whose topology has no use for them, as with other objects: they are set
 * aside first, and deleted by a run that is `graceMs` later.
 */
export async function pruneStoredSnapshots(
  objects: ObjectUpkeep,
  { needs, graceMs, nowMs, apply }: PruneSnapshotsOptions & { readonly graceMs: number },
): Promise<PruneReport> {
  const listed = byFolder(await objects.list(SNAPSHOTS_PREFIX));
  const aside = byFolder(await objects.listAside(SNAPSHOTS_PREFIX));
  const needed = new Map<string, string>();
  const unneeded = new Map<string, string>();
  const prefixes: string[] = [];
  for (const folder of new Set([...listed.keys(), ...aside.keys()])) {
    const need = await needs(folder);
    if (need === null) continue;
    prefixes.push(`${SNAPSHOTS_PREFIX}/${folder}`);
    unneeded.set(folder, need.why);
    const its = listed.get(folder) ?? [];
    // By the newest of them: as long as one is written, somebody may be at work.
    const since = Math.max(0, ...its.map((each) => each.since));
    if (!isDue(need, since, nowMs)) for (const { uri } of its) needed.set(uri, whyKept(need));
    if (need.isNeeded) for (const { uri } of aside.get(folder) ?? []) needed.set(uri, need.why);
  }
  return pruneObjects(objects, {
    prefixes,
    needed,
    unneeded: (uri) => unneeded.get(folderOf({ uri })) ?? '',
    openSince: null,
    olderThanMs: graceMs,
    graceMs,
    nowMs,
    apply,
  });
}

function byFolder(objects: readonly ListedObject[]): ReadonlyMap<string, readonly ListedObject[]> {
  const folders = new Map<string, ListedObject[]>();
  for (const object of objects) {
    const found = folders.get(folderOf(object));
    if (found === undefined) folders.set(folderOf(object), [object]);
    else found.push(object);
  }
  return folders;
}

/** The part of an address that names the generation of a topology. */
function folderOf({ uri }: { readonly uri: string }): string {
  return /^objects:\/\/[^/]+\/([^/]+)/.exec(uri)?.[1] ?? '';
}

/** The same for the snapshots on this machine's disk, which nobody else reads: they are deleted at once. */
export async function pruneLocalSnapshots(
  directory: string,
  { needs, nowMs, apply }: PruneSnapshotsOptions,
): Promise<Pick<PruneReport, 'deleted' | 'kept'>> {
  const deleted: PrunedObject[] = [];
  const kept: PrunedObject[] = [];
  for (const each of await listLocalSnapshots(directory)) {
    const need = await needs(each.folder);
    if (need === null) continue;
    const found = { uri: pathToFileURL(each.path).href, bytes: each.bytes };
    if (isDue(need, each.since, nowMs)) {
      deleted.push({ ...found, why: need.why });
      if (apply) await removeLocalSnapshots(each);
    } else kept.push({ ...found, why: whyKept(need) });
  }
  return { deleted, kept };
}
