import { TidemillError } from './errors.js';

/** What the system says of files and folders that are not what was expected, or that belong to somebody else. */
const UNUSABLE_PATH: ReadonlySet<string> = new Set(['EACCES', 'EEXIST', 'EISDIR', 'ENOTDIR', 'EPERM', 'EROFS']);

/**
 * The error with a code of its own where whoever typed the command can mend it: PATH_UNUSABLE for a file or folder,
 * USAGE_INVALID for an argument. Anything else as it is.
 */
export function codedError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TidemillError) return error;
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  if (path !== undefined && UNUSABLE_PATH.has(code))
    return new TidemillError('PATH_UNUSABLE', error.message, { path, problem: code }, { cause: error });
  if (code.startsWith('ERR_PARSE_ARGS_'))
    return new TidemillError('USAGE_INVALID', error.message, {}, { cause: error });
  return error;
}
