import { DAY_MS, formatDuration } from '../contracts/duration.js';
import { topologyOf, groupId, type TopologyIdentity } from '../contracts/topics.js';
import { viewIdentity } from '../features/vectorLayout.js';
import type { Project } from '../models/project.js';
import { servicesOf, versionsInUse } from '../scoring/versionServices.js';
import type { Log } from '../stores/log/log.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import type { Registry } from '../stores/registry/registry.js';
import { isDefined, viewsOf } from './topologies.js';

/**
 * The offsets of a group that nobody is in are kept by a broker for seven days, unless it is told otherwise. Without them a
 * snapshot is of no use to its topology.
 */
const ABANDONED_MS = 8 * DAY_MS;

/** What becomes of the snapshots of one generation of a topology. */
export type SnapshotNeed =
  | { readonly isNeeded: true; readonly why: string }
  /** `afterMs`: how long nothing must have been written before they go. */
  | { readonly isNeeded: false; readonly why: string; readonly afterMs: number };

export interface SnapshotNeedsOptions {
  readonly project: string;
  readonly log: Pick<Log, 'groupMembers'>;
  readonly registry: Registry;
  readonly objects: ObjectStore;
  /** Null where they are not known: only what another generation has replaced goes then, and no view's. */
  readonly definitions: Project | null;
  /** Opened where a view has more than one generation: the one that serves may be an earlier one. */
  readonly online: () => OnlineStore;
  /** A replaced generation has not been written for so long before its snapshots go. @default a day */
  readonly graceMs?: number;
}

/** Folder names of snapshots, and what becomes of them; null for those of another project. */
export type SnapshotNeeds = (folder: string) => Promise<SnapshotNeed | null>;

/**
 * Which snapshots a recovery may still want. A generation's number is never given twice, and no command goes back to one that was
 * replaced, so these are not needed:
 *
 *   1. generations before the running one, but for the one that is replayed, and for views the one that still serves
 *   2. a replay that was dropped
 *   3. topologies that the definitions do not have (any more), and views that no version in use reads
 *
 * Whatever somebody runs is needed. What is judged must have been listed before: then it is older than the answers.
 */
export function createSnapshotNeeds(options: SnapshotNeedsOptions): SnapshotNeeds {
  const { project, log, registry, definitions } = options;
  const graceMs = options.graceMs ?? DAY_MS;
  let views: Promise<ViewsInUse> | null = null;

  const replaced = (why: string): SnapshotNeed => ({ isNeeded: false, why, afterMs: graceMs });
  const abandoned = (why: string): SnapshotNeed => ({ isNeeded: false, why, afterMs: Math.max(graceMs, ABANDONED_MS) });
  const needed = (why: string): SnapshotNeed => ({ isNeeded: true, why });

  const needOf = async (identity: TopologyIdentity): Promise<SnapshotNeed> => {
    const { name, generation } = identity;
    // Its generations are counted for each model, which its name does not tell.
    if (name === 'relay') return needed('snapshots of the relay');
    const members = await log.groupMembers(groupId(identity));
    if (members.length > 0) return needed(`run by ${members.map((member) => member.name).join(', ')}`);
    const isView = name.startsWith('materialize.');
    if (isView) {
      if (definitions === null) return needed('views are looked at only where the project is given');
      return viewNeed(identity, (views ??= viewsInUse(options, definitions)));
    }
    const running = await registry.generation(`${project}/${name}`);
    const replayed = await registry.replayGeneration(`${project}/${name}`);
    if (generation === replayed) return needed('being replayed');
    if (generation < running) return replaced(`generation ${running} runs in its place`);
    if (generation > running) return replaced('a replay that was dropped');
    if (definitions !== null && !topologiesOf(definitions).has(name))
      return abandoned('the project has no such topology');
    return needed('the running generation');
  };

  const viewNeed = async (
    { name, generation }: TopologyIdentity,
    inUse: Promise<ViewsInUse>,
  ): Promise<SnapshotNeed> => {
    const { hashes, problems } = await inUse;
    const [problem] = problems;
    if (problem !== undefined) return needed(`not all views in use are known: ${problem}`);
    const hash = hashes.get(name);
    if (hash === undefined) return abandoned('no version in use reads the view');
    const [, view = ''] = name.split('.');
    const running = await registry.generation(`${project}/materialize.${view}`);
    if (generation >= running) return needed('the running generation');
    const serving = await options.online().serving({ project, name: view, hash });
    if (serving === null || generation >= serving) return needed(`generation ${running} does not serve yet`);
    return replaced(`generation ${serving} serves in its place`);
  };

  return async (folder) => {
    const identity = topologyOf(project, folder);
    if (identity === null || !KINDS.has(identity.name.split('.')[0] ?? '')) return null;
    return needOf(identity);
  };
}

/** First parts of topology names: what has another one is of a project whose name begins like this one's. */
const KINDS: ReadonlySet<string> = new Set([
  'score',
  'archive',
  'outcome',
  'monitor',
  'relay',
  'materialize',
  'window',
]);

function topologiesOf({ models, windows }: Project): ReadonlySet<string> {
  return new Set([
    ...models.flatMap(({ name }) => ['score', 'archive', 'outcome', 'monitor'].map((kind) => `${kind}.${name}`)),
    ...windows.map(({ name }) => `window.${name}`),
  ]);
}

interface ViewsInUse {
  /** Hashes of the views that versions in use read, by the names of the topologies that write them. */
  readonly hashes: ReadonlyMap<string, string>;
  /** Versions whose views cannot be told. */
  readonly problems: readonly string[];
}

async function viewsInUse(
  stores: Pick<SnapshotNeedsOptions, 'registry' | 'objects'>,
  { models }: Project,
): Promise<ViewsInUse> {
  const hashes = new Map<string, string>();
  const problems: string[] = [];
  for (const model of models) {
    const found = await servicesOf(stores, model, await versionsInUse(stores.registry, model.name));
    problems.push(...found.problems);
    for (const view of viewsOf([model.service, ...found.services])) {
      const name = isDefined(model, view) ? view.name : `${view.name}.${viewIdentity(view)}`;
      hashes.set(`materialize.${name}`, view.hash);
    }
  }
  return { hashes, problems };
}

/** Are they to go, the last write having been at `since`? */
export function isDue(need: SnapshotNeed, since: number, nowMs: number): need is SnapshotNeed & { isNeeded: false } {
  return !need.isNeeded && nowMs - since >= need.afterMs;
}

/** Why they stay where they are: needed, or written a short time ago. */
export function whyKept(need: SnapshotNeed): string {
  return need.isNeeded ? need.why : `${need.why}, written less than ${formatDuration(need.afterMs)} ago`;
}
