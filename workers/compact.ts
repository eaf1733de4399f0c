import { join } from 'node:path';
import type { CompactedRange } from '../contracts/compactionReport.js';
import { TidemillError } from '../contracts/errors.js';
import { registryConfigurationFrom } from '../contracts/configuration.js';
import { compactArchive } from '../stores/archive/compactArchive.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../stores/offline/duckdbStore.js';
import { answer } from './answer.js';
import { openLog } from './openLog.js';

/**
 * Merges small files of a project's archive and prints what was merged, one JSON array of CompactedRange. Errors are one JSON
 * object on standard error.
 *
 *   node dist/workers/compact.js
 */
async function main(): Promise<CompactedRange[]> {
  const { project, home } = registryConfigurationFrom(process.env);
  const brokers = process.env['TIDEMILL_KAFKA'] ?? '';
  if (brokers === '') {
    throw new TidemillError('CONFIGURATION_INVALID', 'the environment variable TIDEMILL_KAFKA is not set', {
      variable: 'TIDEMILL_KAFKA',
    });
  }
  const log = await openLog(brokers.split(','), 'compact');
  const offline = await openDuckdbStore({ threads: 1, memoryLimit: '1GB' });
  try {
    return await compactArchive({ log, objects: openDiskObjectStore(join(home, 'objects')), offline, project });
  } finally {
    await offline.close();
    await log.close();
  }
}

await answer(main);
