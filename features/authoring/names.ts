import { TidemillError } from '../../contracts/errors.js';

const NAME = /^[a-z][a-z0-9_-]{0,62}$/;

/** @throws TidemillError NAME_INVALID; `path` says what is being named. */
export function checkName(path: string, name: string): void {
  if (typeof name === 'string' && NAME.test(name)) return;
  throw new TidemillError(
    'NAME_INVALID',
    `${path}: ${JSON.stringify(name)} is not lower-case letters, digits, - and _ starting with a letter (63 at most)`,
    { path, name },
  );
}

/** A definition that contradicts itself. `path` is where: `customer_spending.features.average_amount`. */
export function definitionError(path: string, problem: string, details: Record<string, unknown> = {}): TidemillError {
  return new TidemillError('DEFINITION_INVALID', `${path}: ${problem}`, { path, ...details });
}
