import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { archiveFiles } from '../activities/dataset/archiveFiles.js';
import { registryConfigurationFrom } from '../contracts/configuration.js';
import { durationMs } from '../contracts/duration.js';
import { isTidemillError, TidemillError } from '../contracts/errors.js';
import type { PruneReport } from '../contracts/pruneReport.js';
import { archiveTopic } from '../contracts/topics.js';
import type { Log } from '../stores/log/log.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import { neededObjects, pruneObjects } from '../stores/objects/pruneObjects.js';
import type { DatasetManifest } from '../stores/offline/offlineStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import { answer } from './answer.js';
import { requireRegistry } from './inspectTopologies.js';
import { openLog } from './openLog.js';

/** What rollouts store, of all projects of the registry together. */
const ROLLOUT_PREFIXES = ['models', 'datasets', 'manifests', 'checkpoints'];

/**
 * Does away with stored objects that nobody needs, and prints what that was as one PruneReport. The project's archive is
 * looked at where the log is given (TIDEMILL_KAFKA): manifests in the log say what of it counts. Errors are one JSON object
 * on standard error.
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
    const archived = await archivedFiles(project);
    const open = rollouts.filter(({ isOpen }) => isOpen).map(({ openedAt }) => openedAt);
    return await pruneObjects(objects, {
      prefixes: [...ROLLOUT_PREFIXES, ...(archived === null ? [] : [`archive/${project}`])],
      needed: new Map([...needed, ...(archived ?? [])]),
      openSince: open.length === 0 ? null : Math.min(...open),
      olderThanMs: durationMs(values['older-than']),
      graceMs: durationMs(values.grace),
      nowMs: Date.now(),
      apply: !values.plan,
    });
  } finally {
    await registry.close();
  }
}

/** Files of the archive that manifests name; null where it cannot be told what they name. */
async function archivedFiles(project: string): Promise<ReadonlyMap<string, string> | null> {
  const brokers = process.env['TIDEMILL_KAFKA'] ?? '';
  if (brokers === '') return null;
  const log = await openLog(brokers.split(','), 'prune');
  try {
    if (!(await hasAllManifests(log, archiveTopic(project)))) return null;
    const needed = new Map<string, string>();
    for (const [topic, { files }] of await archiveFiles(log, project))
      for (const { uri } of files) needed.set(uri, `archive of ${topic}`);
    return needed;
  } finally {
    await log.close();
  }
}

/** A topic that is new, or has lost its beginning, names only a part of the files that count. */
async function hasAllManifests(log: Log, topic: string): Promise<boolean> {
  if ((await log.partitionCount(topic)) === null) return false;
  const ranges = await log.offsets(topic);
  return ranges.every(({ low }) => low === 0) && ranges.some(({ high }) => high > 0);
}

await answer(main);
