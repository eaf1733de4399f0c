import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * Path of a file of the reference data, which does not live in this repository: TIDEMILL_SHARED, else `../shared` beside
 * the repository. Null where it is absent; tests that need it skip visibly.
 */
export function sharedData(...path: readonly string[]): string | null {
  const file = join(process.env['TIDEMILL_SHARED'] ?? join(root, '..', 'shared'), 'data', ...path);
  return existsSync(file) ? file : null;
}
