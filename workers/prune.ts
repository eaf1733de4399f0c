import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { registryConfigurationFrom, type Configuration } from '../contracts/configuration.js';
import { durationMs } from '../contracts/duration.js';
import { isTidemillError, TidemillError } from '../contracts/errors.js';
import type { PruneReport } from '../contracts/pruneReport.js';
import { archiveTopic } from '../contracts/topics.js';
import { readIncarnations } from '../stores/archive/archivedRanges.js';
import type { Log } from '../stores/log/log.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import type { ObjectUpkeep } from '../stores/objects/objectUpkeep.js';
import { neededObjects, pruneObjects } from '../stores/objects/pruneObjects.js';
import type { DatasetManifest } from '../stores/offline/offlineStore.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import { openOnlineStore } from '../stores/online/openOnlineStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import type { Registry } from '../stores/registry/registry.js';
import { answer } from './answer.js';
import { requireRegistry } from './inspectTopologies.js';
import { loadProject } from './loadProject.js';
import { openLog } from './openLog.js';
import { pruneLocalSnapshots, pruneStoredSnapshots } from './pruneSnapshots.js';
import { createSnapshotNeeds } from './snapshotNeeds.js';

/** What rollouts store, of all projects of the registry together. */
const ROLLOUT_PREFIXES = ['models', 'datasets', 'manifests', 'checkpoints'];

/**
 * Does away with stored objects that nobody needs, and prints what that was as one PruneReport. The project's archive and the
 * snapshots of its topologies are looked at where the log is given (TIDEMILL_KAFKA): manifests in the log say what of the archive
 * counts, and its groups who is at work. Errors are one JSON object on standard error.
 *
 *   node dist/workers/prune.js --older-than 90d --grace 1d [--plan]
 */
async function main(): Promise<PruneReport> {
  const { values } = parseArgs({
    options: {
      'older-than': { type: 'string', default: '90d' },
      grace: { type: 'string', default: '1d' },
      plan: { type: 'boolean', default: false },
    },
  });
  const configuration = registryConfigurationFrom(process.env);
  const { project, home } = configuration;
  await requireRegistry(configuration);
  const objects = openDiskObjectStore(join(home, 'objects'));
  const registry = await openRegistry(configuration);
  try {
    const rollouts = await registry.rolloutObjects();
    if (rollouts.length === 0 && (await objects.list('models')).length > 0) {
      throw new TidemillError(
        'CONFIGURATION_INVALID',
        `the registry knows no rollout, but ${home} has models: they belong to another registry`,
        { variable: 'TIDEMILL_REGISTRY', home },
      );
    }
    const needed = await neededObjects(rollouts, async (uri) => {
      try {
        // An object is named by its content.
        const manifest = JSON.parse(
          (await objects.get(uri, basename(uri, '.json'))).toString('utf8'),
        ) as Partial<DatasetManifest>;
        return manifest.uri === undefined ? [] : [manifest.uri];
      } catch (error) {
        if (isTidemillError(error, 'OBJECT_NOT_FOUND')) return [];
        throw error;
      }
    });
    const nowMs = Date.now();
    const graceMs = durationMs(values.grace);
    const apply = !values.plan;
    const { archived, snapshots } = await withLog(async (log) => ({
      archived: await archivedFiles(log, project),
      snapshots: await prunedSnapshots({ ...configuration, log, registry, objects }, { graceMs, nowMs, apply }),
    }));
    const open = rollouts.filter(({ isOpen }) => isOpen).map(({ openedAt }) => openedAt);
    const others = await pruneObjects(objects, {
      prefixes: [...ROLLOUT_PREFIXES, ...(archived === null ? [] : [`archive/${project}`])],
      needed: new Map([...needed, ...(archived ?? [])]),
      openSince: open.length === 0 ? null : Math.min(...open),
      olderThanMs: durationMs(values['older-than']),
      graceMs,
      nowMs,
      apply,
    });
    return together([others, ...snapshots]);
  } finally {
    await registry.close();
  }
}

/** What the log is needed for; nothing where it is not given. */
async function withLog(
  work: (log: Log) => Promise<{ readonly archived: Needed | null; readonly snapshots: readonly PruneReport[] }>,
): ReturnType<typeof work> {
  const brokers = process.env['TIDEMILL_KAFKA'] ?? '';
  if (brokers === '') return { archived: null, snapshots: [] };
  const log = await openLog(brokers.split(','), 'prune');
  try {
    return await work(log);
  } finally {
    await log.close();
  }
}

/** By address, who needs an object. */
type Needed = ReadonlyMap<string, string>;

/** Files of the archive that manifests name; null where it cannot be told what they name. */
async function archivedFiles(log: Log, project: string): Promise<Needed | null> {
  if (!(await hasAllManifests(log, archiveTopic(project)))) return null;
  const needed = new Map<string, string>();
  // Of topics that were deleted, too: the archive is all that is left of them.
  for (const [topic, byPartition] of await readIncarnations(log, project))
    for (const { ranges } of [...byPartition.values()].flat())
      for (const { uri } of ranges.flatMap(({ files }) => files)) needed.set(uri, `archive of ${topic}`);
  return needed;
}

/** Snapshots that no task will read again, in the object store and on this machine. */
async function prunedSnapshots(
  stores: Pick<Configuration, 'project' | 'home' | 'online'> & {
    readonly log: Log;
    readonly registry: Registry;
    readonly objects: ObjectUpkeep;
  },
  options: { readonly graceMs: number; readonly nowMs: number; readonly apply: boolean },
): Promise<readonly PruneReport[]> {
  const { home, online: address, objects, ...rest } = stores;
  const module = process.env['TIDEMILL_PROJECT'] ?? '';
  let online: OnlineStore | null = null;
  const needs = createSnapshotNeeds({
    ...rest,
    objects,
    definitions: module === '' ? null : await loadProject(module),
    online: () => (online ??= openOnlineStore(address)),
    graceMs: options.graceMs,
  });
  try {
    const stored = await pruneStoredSnapshots(objects, { needs, ...options });
    const local = await pruneLocalSnapshots(join(home, 'streams'), { needs, ...options });
    return [stored, { applied: options.apply, setAside: [], broughtBack: [], ...local }];
  } finally {
    await (online as OnlineStore | null)?.close();
  }
}

function together(reports: readonly PruneReport[]): PruneReport {
  return {
    applied: reports.every(({ applied }) => applied),
    setAside: reports.flatMap(({ setAside }) => setAside),
    broughtBack: reports.flatMap(({ broughtBack }) => broughtBack),
    deleted: reports.flatMap(({ deleted }) => deleted),
    kept: reports.flatMap(({ kept }) => kept),
  };
}

/** A topic that is new, or has lost its beginning, names only a part of the files that count. */
async function hasAllManifests(log: Log, topic: string): Promise<boolean> {
  if ((await log.partitionCount(topic)) === null) return false;
  const ranges = await log.offsets(topic);
  return ranges.every(({ low }) => low === 0) && ranges.some(({ high }) => high > 0);
}

await answer(main);
