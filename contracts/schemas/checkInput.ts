import type { TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { TidemillError } from '../errors.js';

/**
 * Checks what was given to a workflow against its schema.
 *
 * @throws TidemillError INPUT_INVALID naming the field at fault.
 */
export function checkInput<T>(workflow: string, schema: TSchema, input: unknown): T {
  const [first] = [...Value.Errors(schema, input)];
  if (first === undefined) return input as T;
  const path = first.path === '' ? 'the input' : first.path.slice(1).replaceAll('/', '.');
  throw new TidemillError(
    'INPUT_INVALID',
    `${workflow}: ${path}: ${first.message}, found ${JSON.stringify(first.value) ?? 'nothing'}`,
    { path: first.path },
  );
}
