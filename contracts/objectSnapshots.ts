import { durationMs } from './duration.js';
import { isTidemillError, TidemillError } from './errors.js';

/**
 * How often a stream worker stores copies of its tasks' snapshots for other machines: TIDEMILL_OBJECT_SNAPSHOTS, a duration
 * such as `60s`, or `off`, which is null here. Nothing where it is not set.
 *
 * @throws TidemillError CONFIGURATION_INVALID
 */
export function objectSnapshotsFrom(
  env: Readonly<Record<string, string | undefined>>,
): { readonly intervalMs?: number } | null {
  const text = env['TIDEMILL_OBJECT_SNAPSHOTS'] ?? '';
  if (text === '') return {};
  if (text === 'off') return null;
  try {
    return { intervalMs: durationMs(text) };
  } catch (error) {
    if (!isTidemillError(error, 'DEFINITION_INVALID')) throw error;
    throw new TidemillError(
      'CONFIGURATION_INVALID',
      `TIDEMILL_OBJECT_SNAPSHOTS is ${JSON.stringify(text)}, not a duration like 60s, and not off`,
      { variable: 'TIDEMILL_OBJECT_SNAPSHOTS' },
      { cause: error },
    );
  }
}
