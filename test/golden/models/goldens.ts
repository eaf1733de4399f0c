import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { assert } from '../../../contracts/errors.js';
import { sharedData } from '../../support/sharedData.js';

/** False where the folder of goldens is not on this machine: its tests are skipped. */
export function hasGoldens(folder: string): boolean {
  return sharedData('goldens', folder) !== null;
}

/** A golden file, unpacked where its name ends in `.gz`. */
export function golden<T>(folder: string, name: string): T {
  const path = sharedData('goldens', folder, name);
  assert(path !== null, `there is a golden ${folder}/${name}`);
  const bytes = readFileSync(path);
  return JSON.parse((path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')) as T;
}
