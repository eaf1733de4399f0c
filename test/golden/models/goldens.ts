import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const goldens = join(process.env['TIDEMILL_SHARED'] ?? join(root, '..', 'shared'), 'data', 'goldens');

/** False where the folder of goldens is not on this machine: its tests are skipped. */
export function hasGoldens(folder: string): boolean {
  return existsSync(join(goldens, folder));
}

/** A golden file, unpacked where its name ends in `.gz`. */
export function golden<T>(path: string): T {
  const bytes = readFileSync(join(goldens, path));
  return JSON.parse((path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')) as T;
}
