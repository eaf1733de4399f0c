import { TidemillError } from '../errors.js';

/**
 * A time of an input, ms UTC. A date alone is read as UTC; a time without a zone would be read in that of the machine.
 *
 * @throws TidemillError INPUT_INVALID naming the field at fault.
 */
export function inputTime(workflow: string, field: string, text: string): number {
  const isClear = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  const time = isClear ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new TidemillError('INPUT_INVALID', `${workflow}: ${field}: ${text} is no time like 2026-01-31T12:00:00Z`, {
    path: `/${field}`,
  });
}
