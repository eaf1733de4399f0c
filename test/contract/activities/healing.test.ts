import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openLmdbOnlineStore } from '../../../stores/online/lmdbOnlineStore.js';
import { healingSuite } from '../../support/healingSuite.js';

describe('healing over a log in memory and LMDB', () => {
  let stop = async (): Promise<void> => {};
  healingSuite(
    'memory',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'tidemill-healed-'));
      const log = createMemoryLog({ clock: () => Date.parse('2026-01-01') });
      const store = openLmdbOnlineStore({ folder });
      stop = async () => {
        await store.close();
        await log.close();
        await rm(folder, { recursive: true });
      };
      return { log, store };
    },
    () => stop(),
  );
});
