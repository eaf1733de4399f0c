import { TidemillError } from '../../contracts/errors.js';

/** Reads what a monitor had encoded as JSON. @throws TidemillError STATE_CORRUPT */
export function parseState<T>(value: string): T {
  try {
    return JSON.parse(value) as T;
  } catch (error) {
    throw new TidemillError('STATE_CORRUPT', 'counts in a snapshot cannot be read', {}, { cause: error });
  }
}
