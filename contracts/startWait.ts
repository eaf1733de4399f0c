import { durationMs } from './duration.js';
import { isTidemillError, TidemillError } from './errors.js';

const DEFAULT_MS = 60_000;

/**
 * How long a worker that starts waits for servers that do not answer, ms: TIDEMILL_START_WAIT, a duration such as `60s`, the
 * default, or `off`, which is 0: it ends at once then.
 *
 * @throws TidemillError CONFIGURATION_INVALID
 */
export function startWaitFrom(env: Readonly<Record<string, string | undefined>>): number {
  const text = env['TIDEMILL_START_WAIT'] ?? '';
  if (text === '') return DEFAULT_MS;
  if (text === 'off') return 0;
  try {
    return durationMs(text);
  } catch (error) {
    if (!isTidemillError(error, 'DEFINITION_INVALID')) throw error;
    throw new TidemillError(
      'CONFIGURATION_INVALID',
      `TIDEMILL_START_WAIT is ${JSON.stringify(text)}, not a duration like 60s, and not off`,
      { variable: 'TIDEMILL_START_WAIT' },
      { cause: error },
    );
  }
}
