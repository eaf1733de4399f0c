import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { findXgboostLibrary } from '../../../infra/xgboostLibrary.js';

const hasSystemLibrary = ['lib', 'local/lib', 'lib/x86_64-linux-gnu', 'lib/aarch64-linux-gnu'].some((folder) =>
  existsSync(`/usr/${folder}/libxgboost.so`),
);
const hasWheel = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-xgboost-'));
  vi.stubEnv('TIDEMILL_XGBOOST', '');
  vi.stubEnv('TIDEMILL_CACHE', join(folder, 'cache'));
  vi.stubEnv('PATH', folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const failure = async (): Promise<string> =>
  findXgboostLibrary().then(
    () => 'found',
    (error: unknown) => (isTidemillError(error, 'RUNTIME_UNAVAILABLE') ? error.message : String(error)),
  );

describe('the search for XGBoost’s library', () => {
  test('takes what the environment names', async () => {
    vi.stubEnv('TIDEMILL_XGBOOST', '/somewhere/libxgboost.so');
    expect(await findXgboostLibrary()).toBe('/somewhere/libxgboost.so');
  });

  test.skipIf(hasSystemLibrary)('names three ways where it finds none', async () => {
    const message = await failure();
    for (const way of [/TIDEMILL_XGBOOST/, /pip/, /system's package/]) expect(message).toMatch(way);
  });

  test.skipIf(hasSystemLibrary || !hasWheel)(
    'refuses a wheel that is not the pinned one, and keeps none of it',
    async () => {
      // Stands in for `python3 -m pip download … -d FOLDER …`, with a wheel of other bytes.
      const python =
        '#!/bin/sh\nfor a in "$@"; do [ "$p" = "-d" ] && echo forged > "$a/xgboost_cpu.whl"; p="$a"; done\n';
      await writeFile(join(folder, 'python3'), python, { mode: 0o755 });
      expect(await failure()).toMatch(/xgboost_cpu\.whl: SHA-256 [0-9a-f]{64} where [0-9a-f]{64} is expected/);
      await access(join(folder, 'cache'));
      expect(await readdir(join(folder, 'cache'))).toEqual([]);
    },
  );
});
