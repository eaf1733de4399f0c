import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { configurationFrom, registryConfigurationFrom } from '../contracts/configuration.js';
import { TidemillError } from '../contracts/errors.js';
import type { PredictionLineage, ViewReaderReport } from '../contracts/lineageReport.js';
import { modelOf } from '../models/project.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../stores/offline/duckdbStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import { answer } from './answer.js';
import { requireRegistry } from './inspectTopologies.js';
import { loadProject } from './loadProject.js';
import { predictionLineage } from './predictionLineage.js';
import { versionRole } from './versionRole.js';
import { openLog } from './openLog.js';

/**
 * Prints where a prediction comes from (PredictionLineage), or which versions read a view (a list of ViewReaderReport).
 * Errors are one JSON object on standard error.
 *
 *   node dist/workers/lineage.js prediction MODEL ID
 *   node dist/workers/lineage.js view VIEW
 */
async function main(): Promise<PredictionLineage | readonly ViewReaderReport[]> {
  const [what, name, id] = parseArgs({ allowPositionals: true }).positionals;
  if (what === 'view' && name !== undefined) return viewReaders(name);
  if (what === 'prediction' && name !== undefined && id !== undefined) return lineageOf(name, id);
  throw new TidemillError('USAGE_INVALID', 'lineage takes `prediction MODEL ID` or `view VIEW`');
}

async function lineageOf(modelName: string, id: string): Promise<PredictionLineage> {
  const configuration = configurationFrom(process.env);
  const model = modelOf(await loadProject(configuration.projectModule), modelName);
  await requireRegistry(configuration);
  const closing: (() => Promise<void>)[] = [];
  try {
    const log = await openLog(configuration.kafkaBrokers, 'lineage');
    closing.push(() => log.close());
    const registry = await openRegistry(configuration);
    closing.push(() => registry.close());
    const offline = async () => {
      const store = await openDuckdbStore({ threads: 1, memoryLimit: '512MB' });
      closing.push(() => store.close());
      return store;
    };
    const objects = openDiskObjectStore(join(configuration.home, 'objects'));
    return await predictionLineage({ project: configuration.project, log, registry, objects, offline }, model, id);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function viewReaders(view: string): Promise<readonly ViewReaderReport[]> {
  const configuration = registryConfigurationFrom(process.env);
  await requireRegistry(configuration);
  const registry = await openRegistry(configuration);
  try {
    const readers = await registry.versionsReading(view);
    const heads = new Map(
      await Promise.all(
        [...new Set(readers.map(({ model }) => model))].map(
          async (model) => [model, await registry.deployment(model)] as const,
        ),
      ),
    );
    return readers.map(({ model, version, status, hash }) => {
      return { model, version, status, role: versionRole(version, heads.get(model) ?? null), hash };
    });
  } finally {
    await registry.close();
  }
}

await answer(main);
