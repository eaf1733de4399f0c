import { TidemillError } from './errors.js';

/**
 * The share of recent records above which poison stops a task: TIDEMILL_POISON_SHARE, 0..1; 1 never stops one. Nothing where it
 * is not set.
 *
 * @throws TidemillError CONFIGURATION_INVALID
 */
export function poisonLimitFrom(env: Readonly<Record<string, string | undefined>>): { readonly share?: number } {
  const text = env['TIDEMILL_POISON_SHARE'] ?? '';
  if (text === '') return {};
  const share = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (share >= 0 && share <= 1) return { share };
  throw new TidemillError('CONFIGURATION_INVALID', `TIDEMILL_POISON_SHARE is ${JSON.stringify(text)}, not 0 to 1`, {
    variable: 'TIDEMILL_POISON_SHARE',
  });
}
