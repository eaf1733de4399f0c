import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLmdbOnlineStore } from '../../../../stores/online/lmdbOnlineStore.js';
import { describeOnlineStore } from './onlineSuite.js';

describeOnlineStore('LMDB online store', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemill-online-'));
  return Promise.resolve({
    open: () => openLmdbOnlineStore({ folder: join(folder, 'new', 'online') }),
    dispose: () => {
      rmSync(folder, { recursive: true, force: true });
      return Promise.resolve();
    },
  });
});
