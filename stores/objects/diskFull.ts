import { isTidemillError, messageOf, TidemillError } from '../../contracts/errors.js';

/** No space; no space of one's own; larger than a file of this process may be. */
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/**
 * DISK_FULL where that is why something could not be written below a folder; any other failure as it is. Engines that
 * write files themselves say it in their message alone.
 */
export function diskFailure(folder: string, error: unknown): unknown {
  if (isTidemillError(error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  const isFull = code === undefined ? /no space left on device/i.test(messageOf(error)) : FULL.has(code);
  if (!isFull) return error;
  return new TidemillError('DISK_FULL', `${folder}: ${messageOf(error)}`, { folder }, { cause: error });
}
