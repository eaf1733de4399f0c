import { HOUR_MS, formatDuration } from '../../contracts/duration.js';
import type { PrunedObject, PruneReport } from '../../contracts/pruneReport.js';
import type { RolloutObjects } from '../registry/registry.js';
import type { ListedObject } from './objectStore.js';
import type { ObjectUpkeep } from './objectUpkeep.js';

/** The clocks of the registry and of the store may differ by this much. */
const CLOCK_SLACK_MS = HOUR_MS;

export interface PruneOptions {
  /** Prefixes that are looked through: objects of others are nobody's business here. */
  readonly prefixes: readonly string[];
  /** Who needs an object; see `neededObjects`. */
  readonly needed: ReadonlyMap<string, string>;
  /** When the oldest rollout opened that is still open: it may name tomorrow what it stored since. Null where none is. */
  readonly openSince: number | null;
  /** Younger objects stay. */
  readonly olderThanMs: number;
  /** How long an object lies aside before it is deleted. */
  readonly graceMs: number;
  readonly nowMs: number;
  /** Why nobody needs what is not in `needed`. @default 'no version, open rollout or manifest names it' */
  readonly unneeded?: (uri: string) => string;
  /** False: only says what it would do. */
  readonly apply: boolean;
}

/**
 * Does away with objects that nobody needs, in two runs with the grace time between them.
 *
 * 1. what was set aside by an earlier run: brought back where it is needed by now, deleted after the grace time;
 * 2. what nobody needs, is old, and was stored before any rollout that is open: set aside.
 *
 * A rollout that opens meanwhile loses nothing. What it stores is young. Where it stores what an earlier one had stored
 * and this run is about to set aside, that lies aside then: reading brings it back, and once the rollout's journal names it
 * the next run does.
 */
export async function pruneObjects(objects: ObjectUpkeep, options: PruneOptions): Promise<PruneReport> {
  const { needed, openSince, olderThanMs, graceMs, nowMs, apply } = options;
  const unneeded = options.unneeded ?? (() => 'no version, open rollout or manifest names it');
  const setAside: PrunedObject[] = [];
  const broughtBack: PrunedObject[] = [];
  const deleted: PrunedObject[] = [];
  const kept: PrunedObject[] = [];
  const isSinceOpening = ({ since }: ListedObject): boolean =>
    openSince !== null && since >= openSince - CLOCK_SLACK_MS;
  for (const prefix of options.prefixes) {
    // 1
    for (const object of await objects.listAside(prefix)) {
      const { uri, bytes, since } = object;
      const why = needed.get(uri);
      if (why !== undefined) {
        broughtBack.push({ uri, bytes, why });
        if (apply) await objects.bringBack(uri);
      } else if (nowMs - since < graceMs) {
        kept.push({ uri, bytes, why: `aside for less than ${formatDuration(graceMs)}` });
      } else if (isSinceOpening(object)) {
        kept.push({ uri, bytes, why: 'aside since a rollout opened that is still open' });
      } else {
        deleted.push({ uri, bytes, why: `aside for ${formatDuration(graceMs)} and not needed` });
        if (apply) await objects.deleteAside(uri);
      }
    }
    // 2
    const back = new Set(broughtBack.map(({ uri }) => uri));
    for (const object of await objects.list(prefix)) {
      const { uri, bytes, since } = object;
      if (back.has(uri)) continue;
      const why = needed.get(uri);
      if (why !== undefined) kept.push({ uri, bytes, why });
      else if (isSinceOpening(object))
        kept.push({ uri, bytes, why: 'stored since a rollout opened that is still open' });
      else if (nowMs - since < olderThanMs)
        kept.push({ uri, bytes, why: `younger than ${formatDuration(olderThanMs)}` });
      else {
        setAside.push({ uri, bytes, why: unneeded(uri) });
        if (apply) await objects.setAside(uri);
      }
    }
  }
  return { applied: apply, setAside, broughtBack, deleted, kept };
}

/**
 * Who needs which objects: what every version's record names, whatever became of the version, and what the journal of its
 * rollout names, so that it can be trained and judged again; what an open rollout's journal names; and the data of every
 * manifest among them.
 *
 * @param dataOf the addresses in a manifest.
 */
export async function neededObjects(
  rollouts: readonly RolloutObjects[],
  dataOf: (manifest: string) => Promise<readonly string[]>,
): Promise<ReadonlyMap<string, string>> {
  const needed = new Map<string, string>();
  const need = (uri: string, why: string): void => {
    if (!needed.has(uri)) needed.set(uri, why);
  };
  for (const { model, versions } of rollouts) {
    for (const { version, status, uris } of versions) {
      for (const uri of uris) need(uri, `version ${version} of ${model} (${status})`);
    }
  }
  for (const { model, token, isOpen, journal, versions } of rollouts) {
    const [first] = versions;
    if (isOpen) for (const uri of journal) need(uri, `rollout ${token} of ${model}, which is open`);
    else if (first !== undefined)
      for (const uri of journal) need(uri, `rollout ${token} of ${model}, which made version ${first.version}`);
  }
  for (const [uri, why] of [...needed]) {
    if (!uri.startsWith('objects://manifests/')) continue;
    for (const data of await dataOf(uri)) need(data, `the data of ${why}`);
  }
  return needed;
}
