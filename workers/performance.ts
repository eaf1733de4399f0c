import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { configurationFrom } from '../contracts/configuration.js';
import { DAY_MS } from '../contracts/duration.js';
import { TidemillError } from '../contracts/errors.js';
import type { PerformanceRow } from '../contracts/performanceReport.js';
import { modelOf } from '../models/project.js';
import { dailyReports } from '../models/monitoring/dailyReports.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../stores/offline/duckdbStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import { answer } from './answer.js';
import { requireRegistry } from './inspectTopologies.js';
import { loadProject } from './loadProject.js';
import { openLog } from './openLog.js';
import { readReports } from './readReports.js';

/** Without a start so much before the newest report is shown. */
const SHOWN_MS = 7 * DAY_MS;

/**
 * Prints how the versions of a model do, a row for each day, version and role: one JSON array of PerformanceRow. Errors are one
 * JSON object on standard error.
 *
 *   node dist/workers/performance.js --model fraud --from 2024-03-01 --to 2024-03-08
 */
async function main(): Promise<PerformanceRow[]> {
  const { values } = parseArgs({
    options: { model: { type: 'string' }, from: { type: 'string' }, to: { type: 'string' } },
  });
  if (values.model === undefined) throw new TidemillError('USAGE_INVALID', '--model is not given');
  const configuration = configurationFrom(process.env);
  const model = modelOf(await loadProject(configuration.projectModule), values.model);
  await requireRegistry(configuration);
  const closing: (() => Promise<void>)[] = [];
  try {
    const log = await openLog(configuration.kafkaBrokers, 'performance');
    closing.push(() => log.close());
    const registry = await openRegistry(configuration);
    closing.push(() => registry.close());
    const offline = await openDuckdbStore({ threads: 1, memoryLimit: '512MB' });
    closing.push(() => offline.close());
    const objects = openDiskObjectStore(join(configuration.home, 'objects'));
    const reports = await readReports({ project: configuration.project, log, objects, offline }, model.name);
    const to = timeOf('to', values.to) ?? Number.POSITIVE_INFINITY;
    const newest = reports.reduce((last, report) => (report.to <= to ? Math.max(last, report.to) : last), 0);
    const from = timeOf('from', values.from) ?? Math.floor((newest - 1) / DAY_MS) * DAY_MS + DAY_MS - SHOWN_MS;
    const columns = new Map([[model.service.hash, model.service.columns.map(({ name }) => name)]]);
    for (const version of await registry.versions(model.name)) columns.set(version.service, [...version.columns]);
    const shown = reports.filter((report) => from <= report.from && report.from < to);
    return dailyReports(model.name, shown, (service) => columns.get(service) ?? null);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

function timeOf(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return time;
  throw new TidemillError('USAGE_INVALID', `--${option}: ${JSON.stringify(text)} is no time`, { option });
}

await answer(main);
