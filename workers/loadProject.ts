import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isTidemillError, messageOf, TidemillError } from '../contracts/errors.js';
import { projectFrom, type Project } from '../models/project.js';

/**
 * Loads the project module of the user.
 *
 * @throws TidemillError PROJECT_NOT_FOUND, and what its definitions throw: DEFINITION_INVALID, NAME_INVALID
 */
export async function loadProject(path: string): Promise<Project> {
  let module: unknown;
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    // A definition that is wrong says so itself.
    if (isTidemillError(error)) throw error;
    throw new TidemillError(
      'PROJECT_NOT_FOUND',
      `${path} cannot be loaded: ${messageOf(error)}`,
      { path },
      { cause: error },
    );
  }
  return projectFrom(module, path);
}
